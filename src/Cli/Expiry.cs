using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Cli;

/// <summary>Until when something is kept, as people write it.</summary>
internal static class Expiry
{
    /// <summary>A length of time from now on, or a time; null for good.</summary>
    public static DateTimeOffset? Parse(string? text)
    {
        if (text is null) return null;
        var now = DateTimeOffset.UtcNow;
        // A length alone is one from now.
        var end = TimeText.TryParseDuration(text) is { } length ? now + length : TimeText.Parse(text);
        return end > now
            ? end
            : throw new RecoveryException(RecoveryError.Invalid, $"--expires {text} is over already.");
    }
}
