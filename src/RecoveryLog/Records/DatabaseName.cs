namespace RecoveryVfs.RecoveryLog.Records;

/// <summary>
/// What may be the name of a database. It becomes a part of paths and a line of a stub, and logs and remotes bring
/// names that somebody else wrote: so it is checked where it is read, and again where it is used.
/// </summary>
internal static class DatabaseName
{
    /// <summary>Throws Invalid when no database may be called so.</summary>
    public static void Check(string name)
    {
        if (Problem(name) is { } problem)
            throw new RecoveryException(RecoveryError.Invalid,
                $"No database can be called \"{Shown(name)}\": the name {problem}.",
                "Choose another one.");
    }

    /// <summary>Why no database may be called so; null when one may.</summary>
    public static string? Problem(string name) =>
        NotAPart(name) ?? (name.Any(char.IsControl) ? "has a control character in it (a line's end, perhaps)" : null);

    /// <summary>
    /// Why it cannot be one part of a path, so that it would lead out of its directory; null when it can. Readers of
    /// logs go by this: an older version let control characters into names, and the other databases of such a store
    /// must stay readable.
    /// </summary>
    internal static string? NotAPart(string name) => name switch
    {
        "" => "is empty",
        "." or ".." => "is a directory",
        _ when name.Contains('/') => "has a slash in it",
        _ when name.Contains('\0') => "has a NUL in it",
        _ => null,
    };

    /// <summary>A name as messages may show it: nothing in it reaches a terminal as a command.</summary>
    public static string Shown(string name)
    {
        const int most = 200;
        var shown = name.Length > most ? name[..most] + "..." : name;
        return shown.Any(char.IsControl)
            ? string.Concat(shown.Select(c => char.IsControl(c) ? $"\\x{(int)c:x2}" : c.ToString()))
            : shown;
    }
}
