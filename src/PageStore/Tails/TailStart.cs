using System.Globalization;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.PageStore.Tails;

/// <summary>Where a tail begins.</summary>
public readonly record struct TailStart
{
    /// <summary>With the oldest commit that the remote still has.</summary>
    public static TailStart Oldest => new() { IsOldest = true };

    /// <summary>With what comes from now on.</summary>
    public static TailStart Now => default;

    /// <summary>With the first commit at an LSN or after it.</summary>
    public static TailStart At(ulong lsn) => new() { Lsn = lsn };

    /// <summary>With the first commit at a time or after it.</summary>
    public static TailStart At(DateTimeOffset time) => new() { Time = time };

    /// <summary>Whether it is the oldest.</summary>
    public bool IsOldest { get; private init; }

    /// <summary>The LSN, when one was given.</summary>
    public ulong? Lsn { get; private init; }

    /// <summary>The time, when one was given.</summary>
    public DateTimeOffset? Time { get; private init; }

    /// <summary>
    /// Reads <c>start</c>, <c>now</c>, an LSN, a time (<c>2026-03-01T12:00:00Z</c>; UTC unless it says otherwise), or a time ago
    /// (<c>-15m</c>; s, m, h, d).
    /// </summary>
    public static TailStart Parse(string text, TimeProvider? time = null)
    {
        switch (text)
        {
            case "start": return Oldest;
            case "now": return Now;
        }
        if (ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var lsn)) return At(lsn);
        if (text.StartsWith('-') && text.Length > 2
            && double.TryParse(text.AsSpan(1, text.Length - 2), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var ago)
            && SecondsOf(text[^1]) is { } unit)
            return At((time ?? TimeProvider.System).GetUtcNow() - TimeSpan.FromSeconds(ago * unit));
        if (DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var at)) return At(at);
        throw new RecoveryException(RecoveryError.Invalid,
            $"'{text}' is no place in a log: give start, now, an LSN, a time as 2026-03-01T12:00:00Z, or a time ago as -15m.");
    }

    static double? SecondsOf(char unit) => unit switch { 's' => 1, 'm' => 60, 'h' => 3600, 'd' => 86400, _ => null };
}
