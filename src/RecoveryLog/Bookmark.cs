using System.Globalization;

namespace RecoveryVfs.RecoveryLog;

/// <summary>
/// A moment of one log, to be kept and given back: the first 8 hex digits of the log's id, the epoch in which the
/// record was written, and its LSN, as <c>b5c01f2e-3-4711</c>. After a take-over another record may have the LSN of
/// one that was never shipped; the epoch tells the two apart.
/// </summary>
internal readonly record struct Bookmark(string Log, ulong Epoch, ulong Lsn)
{
    /// <summary>For help and messages.</summary>
    public const string Example = "b5c01f2e-3-4711";

    const int LogDigits = 8;

    /// <summary>A moment of a log.</summary>
    public static Bookmark Of(Guid logId, ulong epoch, ulong lsn) => new(LogText(logId), epoch, lsn);

    /// <summary>Whether it is a moment of that log.</summary>
    public bool IsOf(Guid logId) => Log == LogText(logId);

    /// <summary>Reads one; null when the text is none.</summary>
    public static Bookmark? TryParse(string text)
    {
        var parts = text.Trim().Split('-');
        return parts.Length == 3 && parts[0].Length == LogDigits && parts[0].All(char.IsAsciiHexDigitLower)
            && Number(parts[1]) is { } epoch && Number(parts[2]) is { } lsn
            ? new Bookmark(parts[0], epoch, lsn)
            : null;
    }

    /// <summary>Reads one. Throws Invalid.</summary>
    public static Bookmark Parse(string text) => TryParse(text)
        ?? throw new RecoveryException(RecoveryError.Invalid, $"'{text}' is no bookmark.",
            $"They look like {Example}: `recovery bookmark` and PRAGMA recovery_bookmark give them.");

    /// <summary>As it is written.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Log}-{Epoch}-{Lsn}");

    static ulong? Number(string text) =>
        ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    static string LogText(Guid logId) => logId.ToString("N")[..LogDigits];
}
