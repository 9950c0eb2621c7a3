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

    public static string Time(DateTimeOffset time) => TimeText.Show(time);

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

    const int MostNames = 20;

    /// <summary>Names for people: all of a few, the first of many.</summary>
    public static string Some(IReadOnlyList<string> names) => names.Count switch
    {
        0 => "none",
        <= MostNames => string.Join(", ", names),
        _ => $"{string.Join(", ", names.Take(MostNames / 2))}, and {names.Count - MostNames / 2:N0} more",
    };

    public static string Count(long number, string noun) => $"{number.ToString("N0", CultureInfo.InvariantCulture)} {noun}{(number == 1 ? "" : "s")}";
}
