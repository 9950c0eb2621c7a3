using System.Globalization;
using RecoveryVfs.Operations;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Cli;

/// <summary>Numbers and times as people write and read them.</summary>
internal static class Text
{
    public static string Bytes(long bytes) => Words.Bytes(bytes);

    public static string Time(DateTimeOffset time) => TimeText.Show(time);

    public static DateTimeOffset FromMs(long unixTimeMs) => TimeText.FromMs(unixTimeMs);

    public static string Duration(TimeSpan span) => span switch
    {
        { TotalSeconds: < 1 } => $"{Math.Max(0, (long)span.TotalMilliseconds)} ms",
        { TotalMinutes: < 1 } => span.TotalSeconds.ToString("0.0", CultureInfo.InvariantCulture) + " s",
        { TotalHours: < 1 } => $"{span.Minutes} min {span.Seconds} s",
        { TotalDays: < 2 } => $"{(int)span.TotalHours} h {span.Minutes} min",
        _ => $"{(int)span.TotalDays} days",
    };

    public static string Some(IReadOnlyList<string> names) => Words.Some(names);

    public static string Count(long number, string noun)
        => $"{number.ToString("N0", CultureInfo.InvariantCulture)} {noun}{(number == 1 ? "" : "s")}";
}
