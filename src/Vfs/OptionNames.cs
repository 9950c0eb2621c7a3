namespace RecoveryVfs;

/// <summary>Tells a misspelled option from one that is somebody else's.</summary>
internal static class OptionNames
{
    /// <summary>What only the environment has.</summary>
    public static readonly string[] OfEnvironmentOnly =
        ["vfs-default", "uri-options", "log", "log-format", "log-level", "trust-owners"];

    /// <summary>What SQLite itself reads of a URI.</summary>
    static readonly string[] ofSqlite = ["vfs", "mode", "cache", "psow", "nolock", "immutable", "modeof"];

    /// <summary>The option that a name looks like without being one, or null.</summary>
    public static string? Misspelled(string name, params string[] others)
    {
        var written = name.ToLowerInvariant().Replace('_', '-');
        if (ofSqlite.Contains(written) || others.Contains(written)) return null;
        var (nearest, distance) = Options.Names.Concat(others).Select(n => (Name: n, Distance: Distance(written, n)))
            .MinBy(n => n.Distance);
        // Two letters of a long name, one of a short one.
        return distance <= (nearest.Length < 6 ? 1 : 2) ? nearest : null;
    }

    /// <summary>How many letters must be changed, added, left out or exchanged with their neighbour.</summary>
    static int Distance(string from, string to)
    {
        var costs = new int[from.Length + 1, to.Length + 1];
        for (var i = 0; i <= from.Length; i++) costs[i, 0] = i;
        for (var j = 0; j <= to.Length; j++) costs[0, j] = j;
        for (var i = 1; i <= from.Length; i++)
            for (var j = 1; j <= to.Length; j++)
            {
                var same = from[i - 1] == to[j - 1];
                costs[i, j] =
                    Math.Min(Math.Min(costs[i - 1, j], costs[i, j - 1]) + 1, costs[i - 1, j - 1] + (same ? 0 : 1));
                if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1])
                    costs[i, j] = Math.Min(costs[i, j], costs[i - 2, j - 2] + 1);
            }
        return costs[from.Length, to.Length];
    }
}
