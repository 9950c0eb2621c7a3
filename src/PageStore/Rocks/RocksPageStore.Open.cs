using System.Runtime.InteropServices;
using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.PageStore.Rocks;

internal sealed unsafe partial class RocksPageStore
{
    /// <summary>
    /// A reader beside a writer that deletes files faster than they can be opened gives up after so many tries.
    /// </summary>
    const int OpenTriesMax = 10;

    /// <summary>
    /// Opens the store, or creates it when the directory has none (and damage does not explain that).
    /// </summary>
    /// <remarks>
    /// A reader opens every file at once, for a writer beside it may delete any of them later; what is deleted in the
    /// meantime makes it start over. (RocksDB's own secondary instances are not used: in 7.8.3 they read freed memory
    /// when they read a blob.)
    /// </remarks>
    public static RocksPageStore Open(RocksPageStoreOptions options)
    {
        if (options.Mode == RocksMode.ReadWrite)
        {
            CreateDirectory(options.Directory);
            return OpenOnce(options);
        }
        for (var tries = 1; ; tries++)
        {
            var before = ManifestMark.Of(options.Directory);
            try
            {
                return OpenOnce(options);
            }
            catch (RecoveryException e) when (e.Error == RecoveryError.Corrupt && tries < OpenTriesMax
                && MayHaveMoved(e))
            {
            }

            bool MayHaveMoved(RecoveryException e) =>
                ManifestMark.Of(options.Directory) != before
                    || e.Message.Contains("No such file", StringComparison.Ordinal);
        }
    }

    /// <summary>
    /// Has a function called when the process exits, on the thread that does, before stores that are still open stop:
    /// for hosts that are not .NET, which have no ProcessExit. Not called in children made by fork(), nor in a process
    /// that is killed.
    /// </summary>
    public static void BeforeExit(delegate* unmanaged<void> call) => Native.rv_before_exit(call);

    /// <summary>
    /// Whether there is something newer in the files than what a <see cref="RocksMode.ReadOnly"/> store shows: open
    /// another one to see it.
    /// </summary>
    public bool IsStale => ManifestMark.Of(options.Directory) != mark;

    static RocksPageStore OpenOnce(RocksPageStoreOptions options)
    {
        var directory = options.Directory;
        var mark = ManifestMark.Of(directory);
        var exists = ManifestCheck.Exists(directory);
        if (!exists && options.Mode == RocksMode.ReadOnly)
            throw new RecoveryException(RecoveryError.NotFound,
                $"There is no page store in {directory}.",
                "Open it for writing once to create it.")
            { Path = directory };

        // Who does not hear of deletions must not keep files open.
        var places = options.Mode == RocksMode.ReadWrite && options.Files is null && options.Recorder is not null
            ? new PlaceMap(directory, options.Absent)
            : null;
        var files = options.Files ?? FilesOf(options, places);
        var store = new RocksPageStore(options, files, places, mark);
        try
        {
            store.OpenHandle(create: !exists);
            store.applied = store.ReadApplied(0);
            return store;
        }
        catch
        {
            var opened = !store.handle.IsInvalid;
            store.Dispose();
            if (!opened)
                files?.Dispose();
            throw;
        }
    }

    static RecordedFiles? FilesOf(RocksPageStoreOptions options, PlaceMap? places)
    {
        if (options.Recorder is null && options.Absent is null) return null;
        var recorder = options.Recorder is null || places is null
            ? options.Recorder
            : new WatchedDeletions(options.Recorder, name =>
            {
                places.Deleted(name);
                options.Absent?.Deleted(name);
            });
        return new RecordedFiles(recorder, absent: options.Absent);
    }

    static void CreateDirectory(string directory)
    {
        try
        {
            LocalDisk.Instance.CreateDirectory(directory);
        }
        catch (RecoveryException e)
        {
            throw new RecoveryException(RecoveryError.CannotOpen,
                $"The directory {directory} cannot be created: {e.Message} Check its path and rights.", e)
            { Path = directory };
        }
    }

    void OpenHandle(bool create)
    {
        var directory = Marshal.StringToCoTaskMemUTF8(options.Directory);
        try
        {
            var native = new Native.Options
            {
                Directory = (byte*)directory,
                Files = files?.Handle ?? 0,
                BlockCacheBytes = options.BlockCacheBytes,
                WriteBufferBytes = options.WriteBufferBytes,
                Mode = (int)options.Mode,
                Create = create ? 1 : 0,
                BlobZstd = options.Zstd ? 1 : 0,
            };
            Check(Native.rv_open(native, out var opened, out var error), error, "Opening the page store",
                writing: false);
            handle.Take(opened, files);
        }
        finally
        {
            Marshal.FreeCoTaskMem(directory);
        }
    }
}
