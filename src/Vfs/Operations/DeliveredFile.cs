using RecoveryVfs.Opening;
using RecoveryVfs.PageStore.Files;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.Operations;

/// <summary>Plain SQLite files as results: made beside their place, checked, and moved into it whole.</summary>
internal static class DeliveredFile
{
    /// <summary>What a file is called while it is made.</summary>
    public const string Made = "plain";

    static readonly string[] Companions = ["-wal", "-journal", "-shm"];

    /// <summary>Refuses a place where something is; with <paramref name="force"/> only a directory.</summary>
    public static void CheckPlace(string path, bool force)
    {
        if (Directory.Exists(path)) throw new RecoveryException(RecoveryError.Invalid,
            $"{path} is a directory.",
            "Name the file to write.")
        { Path = path };
        if (force) return;
        foreach (var each in (string[])["", .. Companions])
            if (File.Exists(path + each))
                throw new RecoveryException(RecoveryError.Invalid,
                    $"{path + each} exists already, and is not overwritten.",
                    "Move it away, or give --force.")
                { Path = path + each };
    }

    /// <summary>
    /// Writes a database of a store to <paramref name="path"/>, made whole in <paramref name="staging"/> before, where
    /// <paramref name="check"/> may look at it. The program has chosen which SQLite is used.
    /// </summary>
    public static void Export(
        Staging staging, string store, string database, string path, StepBegun begin, Action<string>? check)
    {
        var stubs = Directory.CreateDirectory(staging.Path("databases")).FullName;
        // The file has a name of the caller's choice, and the stub is ours alone.
        DatabaseName.Check(database);
        var stub = Path.Combine(stubs, database);
        Stub.Write(stub, store, database);
        using (var progress = begin("writing the file", 0))
            DatabaseCopy.Export(stub, store, staging.Path(Made), progress.Reach);
        using (var file = new FileStream(staging.Path(Made), FileMode.Open, FileAccess.ReadWrite))
            file.Flush(flushToDisk: true);
        Deliver(staging, path, check);
    }

    /// <summary>
    /// Moves the file that was made in <paramref name="staging"/>, durably, to <paramref name="path"/>;
    /// <paramref name="check"/> may look at it before.
    /// </summary>
    public static void Deliver(Staging staging, string path, Action<string>? check)
    {
        check?.Invoke(staging.Path(Made));
        // A WAL or journal of the file that is replaced must never be applied to the new one.
        foreach (var each in Companions) File.Delete(path + each);
        staging.MoveOut(Made, path);
    }
}
