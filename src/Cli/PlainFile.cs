using RecoveryVfs.Opening;
using RecoveryVfs.PageStore.Files;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Cli;

/// <summary>How much of a restored database is checked.</summary>
internal enum IntegrityCheck
{
    None,
    Quick,
    Full,
}

/// <summary>Plain SQLite files as results: made beside their place, checked, and moved into it whole.</summary>
internal static class PlainFile
{
    static readonly string[] Companions = ["-wal", "-journal", "-shm"];

    /// <summary>Refuses a place where something is; with <paramref name="force"/> only a directory.</summary>
    public static void CheckPlace(string path, bool force)
    {
        if (Directory.Exists(path)) throw new RecoveryException(RecoveryError.Invalid, $"{path} is a directory. Name the file to write.");
        if (force) return;
        foreach (var each in (string[])["", .. Companions])
            if (File.Exists(path + each))
                throw new RecoveryException(RecoveryError.Invalid, $"{path + each} exists already, and is not overwritten. Move it away, or give --force.");
    }

    /// <summary>Writes a database of the store in <paramref name="staging"/> to <paramref name="path"/>.</summary>
    public static void Export(Staging staging, string store, string database, string path, IntegrityCheck check)
    {
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
        var stubs = Directory.CreateDirectory(staging.Path("databases")).FullName;
        var stub = Path.Combine(stubs, Path.GetFileName(database));
        Stub.Write(stub, store, database);
        Recovery.Export(stub, staging.Path("plain"));
        Check(staging.Path("plain"), database, check);
        using (var file = new FileStream(staging.Path("plain"), FileMode.Open, FileAccess.ReadWrite)) file.Flush(flushToDisk: true);
        // A WAL or journal of the file that is replaced must never be applied to the new one.
        foreach (var each in Companions) File.Delete(path + each);
        staging.MoveOut("plain", path);
    }

    static void Check(string path, string database, IntegrityCheck check)
    {
        if (check == IntegrityCheck.None) return;
        using var connection = new Connection(path);
        var pragma = check == IntegrityCheck.Quick ? "quick_check" : "integrity_check";
        var answer = connection.Ask("PRAGMA " + pragma);
        if (answer != "ok")
            throw new RecoveryException(RecoveryError.Corrupt,
                $"The restored database {database} fails SQLite's {pragma}: {answer}. The pages are those that were committed, so it was so in the "
                + "store, too. Restore an earlier state, or take it as it is with --integrity-check none.");
    }
}
