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
    /// Reads <c>start</c>, <c>now</c>, an LSN, or a time as <see cref="TimeText.Parse"/> reads it.
    /// </summary>
    public static TailStart Parse(string text, TimeProvider? time = null)
    {
        switch (text)
        {
            case "start": return Oldest;
            case "now": return Now;
        }
        if (ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var lsn)) return At(lsn);
        try
        {
            return At(TimeText.Parse(text, time));
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.Invalid)
        {
            throw new RecoveryException(RecoveryError.Invalid,
                $"'{text}' is no place in a log: give start, now, an LSN, or a time. {e.Message}", e);
        }
    }
}
