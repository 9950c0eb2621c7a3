namespace RecoveryVfs.RecoveryLog.Records;

/// <summary>
/// What may be the name of a tracked file, by its class. RocksDB's files have exactly the names that RocksDB gives
/// them; a plain file is called after its database. Hints and records of a remote bring such names, and what is
/// restored is put where they say.
/// </summary>
/// <remarks>
/// <code>
///   table   digits .sst                    blob   digits .blob
///   small   CURRENT | IDENTITY | MANIFEST-digits | OPTIONS-digits | OPTIONS-digits .dbtmp | digits .dbtmp
///   log     digits .log
///   plain   any part of a path
/// </code>
/// LOG and LOCK are RocksDB's, too, and never tracked.
/// </remarks>
internal static class TrackedName
{
    /// <summary>A u64 has no more.</summary>
    const int DigitsMax = 20;

    /// <summary>Whether a file of that class may have that name.</summary>
    public static bool IsValid(FileClass fileClass, string name) => fileClass == FileClass.Plain
        ? DatabaseName.NotAPart(name) is null
        : RocksClassOf(name) == fileClass;

    /// <summary>
    /// The class of RocksDB's file of that name; null when RocksDB has no such file, or none that is tracked.
    /// </summary>
    public static FileClass? RocksClassOf(ReadOnlySpan<char> name)
    {
        if (name.EndsWith(".sst")) return AreDigits(name[..^4]) ? FileClass.RocksTable : null;
        if (name.EndsWith(".blob")) return AreDigits(name[..^5]) ? FileClass.RocksBlob : null;
        if (name.EndsWith(".log")) return AreDigits(name[..^4]) ? FileClass.RocksLog : null;
        return IsSmall(name) ? FileClass.RocksSmall : null;
    }

    /// <summary>
    /// Throws Corrupt when the file may not have that name, saying what <paramref name="source"/> brought it.
    /// </summary>
    public static void Check(FileClass fileClass, string name, string source)
    {
        if (!IsValid(fileClass, name))
            throw new RecoveryException(RecoveryError.Corrupt,
                $"{source} names a file \"{DatabaseName.Shown(name)}\", and no {Text(fileClass)} is called so: "
                + "something else wrote it, perhaps to have files put elsewhere. "
                + "Nothing was written.",
                "Do not trust it before you know who did.");
    }

    static bool IsSmall(ReadOnlySpan<char> name)
    {
        if (name is "CURRENT" or "IDENTITY") return true;
        if (name.StartsWith("MANIFEST-")) return AreDigits(name[9..]);
        if (name.StartsWith("OPTIONS-")) name = name[8..];
        else if (!name.EndsWith(".dbtmp")) return false;
        return AreDigits(name.EndsWith(".dbtmp") ? name[..^6] : name);
    }

    static bool AreDigits(ReadOnlySpan<char> text) => text.Length is > 0 and <= DigitsMax
        && !text.ContainsAnyExceptInRange('0', '9');

    static string Text(FileClass fileClass) => fileClass switch
    {
        FileClass.RocksTable => "table of RocksDB's",
        FileClass.RocksBlob => "blob file of RocksDB's",
        FileClass.RocksSmall => "small file of RocksDB's",
        FileClass.RocksLog => "write-ahead log of RocksDB's",
        _ => "journal or WAL",
    };
}
