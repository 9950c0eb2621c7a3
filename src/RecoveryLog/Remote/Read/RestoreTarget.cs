using System.Globalization;

namespace RecoveryVfs.RecoveryLog.Remote.Read;

/// <summary>Which state is wanted.</summary>
internal readonly record struct RestoreTarget
{
    RestoreTarget(ulong? lsn, long? timeMs, Bookmark? bookmark = null)
        => (Lsn, TimeMs, Bookmark) = (lsn, timeMs, bookmark);

    /// <summary>The state after everything in the remote.</summary>
    public static RestoreTarget Newest => default;

    /// <summary>The state after the last whole record group up to an LSN.</summary>
    public static RestoreTarget At(ulong lsn) => new(lsn, null);

    /// <summary>The state after the last whole record group that was appended by a time.</summary>
    public static RestoreTarget At(DateTimeOffset time) => new(null, time.ToUnixTimeMilliseconds());

    /// <summary>The state of a bookmark, which must be one of the log that is restored.</summary>
    public static RestoreTarget At(Bookmark bookmark) => new(bookmark.Lsn, null, bookmark);

    /// <summary>
    /// Reads <c>now</c> (the newest state), a bookmark, an LSN, or a time as <see cref="TimeText.Parse"/> reads
    /// it. Throws Invalid.
    /// </summary>
    public static RestoreTarget Parse(string text, TimeProvider? time = null)
    {
        if (text == "now") return Newest;
        if (RecoveryLog.Bookmark.TryParse(text) is { } bookmark) return At(bookmark);
        if (ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var lsn)) return At(lsn);
        try
        {
            return At(TimeText.Parse(text, time));
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.Invalid)
        {
            throw new RecoveryException(RecoveryError.Invalid,
                $"'{text}' is no moment of a log: give now, a bookmark, an LSN, or a time. {e.Message}", e);
        }
    }

    /// <summary>The LSN, when one was given.</summary>
    public ulong? Lsn { get; }

    /// <summary>The time, when one was given; unix milliseconds.</summary>
    public long? TimeMs { get; }

    /// <summary>The bookmark, when one was given.</summary>
    public Bookmark? Bookmark { get; }

    /// <summary>For messages.</summary>
    public override string ToString() =>
        Lsn is { } lsn
            ? $"LSN {lsn}" : TimeMs is { } ms ? DateTimeOffset.FromUnixTimeMilliseconds(ms)
            .ToString("yyyy-MM-dd HH:mm:ss.fff'Z'") : "the newest state";
}
