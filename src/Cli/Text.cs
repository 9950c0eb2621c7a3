using System.Globalization;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Cli;

/// <summary>Numbers and times as people write and read them.</summary>
internal static class Text
{
    public static string Bytes(long bytes)
    {
        if (bytes < 1024) return $"{bytes} B";
        string[] units = ["KiB", "MiB", "GiB", "TiB", "PiB"];
        double value = bytes;
        var unit = -1;
        for (; value >= 1024 && unit < units.Length - 1; unit++) value /= 1024;
        return value.ToString(value < 10 ? "0.00" : value < 100 ? "0.0" : "0", CultureInfo.InvariantCulture) + " " + units[unit];
    }

    public static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    public static DateTimeOffset FromMs(long unixTimeMs) =>
        DateTimeOffset.FromUnixTimeMilliseconds(Math.Clamp(unixTimeMs, 0, DateTimeOffset.MaxValue.ToUnixTimeMilliseconds()));

    public static string Duration(TimeSpan span) => span switch
    {
        { TotalSeconds: < 1 } => $"{Math.Max(0, (long)span.TotalMilliseconds)} ms",
        { TotalMinutes: < 1 } => span.TotalSeconds.ToString("0.0", CultureInfo.InvariantCulture) + " s",
        { TotalHours: < 1 } => $"{span.Minutes} min {span.Seconds} s",
        { TotalDays: < 2 } => $"{(int)span.TotalHours} h {span.Minutes} min",
        _ => $"{(int)span.TotalDays} days",
    };

    public static string Count(long number, string noun) => $"{number.ToString("N0", CultureInfo.InvariantCulture)} {noun}{(number == 1 ? "" : "s")}";

    /// <summary>A point in time, as RFC 3339 writes it; UTC when it names no zone.</summary>
    public static DateTimeOffset ParseTime(string text) =>
        DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time)
            ? time
            : throw new RecoveryException(RecoveryError.Invalid, $"'{text}' is not a time. Write it as 2026-01-31T15:04:05Z.");

    /// <summary>A length of time: 90s, 15m, 12h, 7d.</summary>
    public static TimeSpan ParseDuration(string text)
    {
        double unit = text.Length == 0 ? 0 : text[^1] switch { 's' => 1, 'm' => 60, 'h' => 3600, 'd' => 86400, _ => 0 };
        return unit > 0 && double.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)
            && number * unit < TimeSpan.FromDays(36500).TotalSeconds
                ? TimeSpan.FromSeconds(number * unit)
                : throw new RecoveryException(RecoveryError.Invalid, $"'{text}' is not a length of time. Write it as 90s, 15m, 12h or 7d.");
    }
}
