using System.Globalization;

namespace RecoveryVfs.Operations;

/// <summary>Numbers and names as people read them.</summary>
internal static class Words
{
    const int MostNames = 20;

    /// <summary>Names in one line: all of a few, the first of many.</summary>
    public static string Some(IReadOnlyList<string> names) => names.Count switch
    {
        0 => "none",
        <= MostNames => string.Join(", ", names),
        _ => $"{string.Join(", ", names.Take(MostNames / 2))}, and {names.Count - MostNames / 2:N0} more",
    };

    /// <summary>A size with three digits.</summary>
    public static string Bytes(long bytes)
    {
        if (bytes < 1024) return $"{bytes} B";
        string[] units = ["KiB", "MiB", "GiB", "TiB", "PiB"];
        double value = bytes;
        var unit = -1;
        for (; value >= 1024 && unit < units.Length - 1; unit++) value /= 1024;
        return value.ToString(value < 10 ? "0.00" : value < 100 ? "0.0" : "0", CultureInfo.InvariantCulture) + " "
            + units[unit];
    }
}
