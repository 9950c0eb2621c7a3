using RecoveryVfs.Opening;
using RecoveryVfs.PageStore.Files;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.Cli;

/// <summary>Plain SQLite files as results: made beside their place, checked, and moved into it whole.</summary>
internal static class PlainFile
{
    /// <summary>What a file is called while it is made.</summary>
    public const string Made = "plain";

    static readonly string[] Companions = ["-wal", "-journal", "-shm"];

    /// <summary>Refuses a place where something is; with <paramref name="force"/> only a directory.</summary>
    public static void CheckPlace(string path, bool force)
    {
        if (Directory.Exists(path)) throw new RecoveryException(RecoveryError.Invalid,
            $"{path} is a directory.",
            "Name the file to write.") { Path = path };
        if (force) return;
        foreach (var each in (string[])["", .. Companions])
            if (File.Exists(path + each))
                throw new RecoveryException(RecoveryError.Invalid,
                    $"{path + each} exists already, and is not overwritten.",
                    "Move it away, or give --force.");
    }

    /// <summary>Writes a database of the store in <paramref name="staging"/> to <paramref name="path"/>; returns what SQLite says of it.</summary>
    public static IntegrityFinding Export(Staging staging, string store, string database, string path, IntegrityCheck check)
    {
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
        var stubs = Directory.CreateDirectory(staging.Path("databases")).FullName;
        // The file has a name of the caller's choice, and the stub is ours alone.
        DatabaseName.Check(database);
        var stub = Path.Combine(stubs, database);
        Stub.Write(stub, store, database);
        using (var progress = new Progress("writing the file"))
            Recovery.Export(stub, store, staging.Path(Made), progress.Reach);
        using (var file = new FileStream(staging.Path(Made), FileMode.Open, FileAccess.ReadWrite)) file.Flush(flushToDisk: true);
        return Deliver(staging, database, path, check);
    }

    /// <summary>Moves the file that was made in <paramref name="staging"/>, durably, to <paramref name="path"/>; returns what SQLite says of it.</summary>
    public static IntegrityFinding Deliver(Staging staging, string database, string path, IntegrityCheck check)
    {
        var finding = IntegrityFinding.Of(staging.Path(Made), database, check);
        // A WAL or journal of the file that is replaced must never be applied to the new one.
        foreach (var each in Companions) File.Delete(path + each);
        staging.MoveOut(Made, path);
        return finding;
    }
}
