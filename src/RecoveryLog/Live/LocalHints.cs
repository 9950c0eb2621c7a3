using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.RecoveryLog.Live;

/// <summary>
/// The hints of a local store: files `hints-&lt;lsn&gt;` in its directory, made whole under another name first, then
/// renamed. The newest counts, and the one before it is kept, for a look.
/// </summary>
internal static class LocalHints
{
    const string Prefix = "hints-";
    const int Kept = 2;

    /// <summary>
    /// The newest hints, or null when there are none. Damage is an error that names the file: older hints do not fit a
    /// log that was dropped since.
    /// </summary>
    public static Hints? LoadNewest(ILogDisk disk, string directory)
    {
        var newest = Names(disk, directory).LastOrDefault();
        if (newest is null) return null;
        var path = Path.Combine(directory, newest);
        using var file = disk.Open(path, LogFileMode.Read);
        var bytes = new byte[file.SizeBytes];
        var got = file.Read(0, bytes);
        var hints = HintsFormat.Read(bytes.AsMemory(0, got), path);
        return newest == NameOf(hints.Lsn) ? hints : throw new RecoveryException(RecoveryError.Corrupt,
            $"The hints {path} are of LSN {hints.Lsn}: the file has another's name.",
            "Give it back its own, or restore the store from its remote.")
        { Path = path, Lsn = hints.Lsn };
    }

    /// <summary>Publishes hints, durably, and removes those before the last two.</summary>
    public static void Publish(ILogDisk disk, string directory, Hints hints)
    {
        var path = Path.Combine(directory, NameOf(hints.Lsn));
        var temporary = path + ".new";
        using (var file = disk.Open(temporary, LogFileMode.Create))
        {
            file.Write(0, HintsFormat.Write(hints));
            file.SyncData();
        }
        disk.Rename(temporary, path);
        disk.SyncDirectory(directory);
        foreach (var old in Names(disk, directory).SkipLast(Kept).Concat(Unfinished(disk, directory)))
            disk.Delete(Path.Combine(directory, old));
    }

    static string NameOf(ulong lsn) => Prefix + lsn.ToString("x16");

    static IEnumerable<string> Unfinished(ILogDisk disk, string directory) => disk.List(directory)
        .Where(n => n.StartsWith(Prefix, StringComparison.Ordinal) && n.EndsWith(".new", StringComparison.Ordinal));

    static IEnumerable<string> Names(ILogDisk disk, string directory) => disk.List(directory)
        .Where(n => n.Length == Prefix.Length + 16 && n.StartsWith(Prefix, StringComparison.Ordinal)
        && n.AsSpan(Prefix.Length).IndexOfAnyExcept("0123456789abcdef") < 0)
        .Order(StringComparer.Ordinal);
}
