using System.Runtime.InteropServices;

namespace RecoveryVfs.PageStore.Interop;

/// <summary>
/// librecovery_native, declaration by declaration as in native/recovery_native.h, where the contracts stand.
/// </summary>
internal static unsafe partial class Native
{
    internal const string Library = "recovery_native";
    const int InterfaceVersion = 7;

    static Native()
    {
        NativeLoader.Register();
        var found = rv_interface();
        if (found != InterfaceVersion)
            throw new DllNotFoundException(
                $"librecovery_native has interface {found}, and {InterfaceVersion} is needed: another build of it "
                    + "was found first.");
    }

    /// <summary>enum rv_code.</summary>
    internal enum Code { Ok, Corrupt, Io, NoSpace, Busy, Canceled, Invalid, OpenFiles, ReadOnly, MissingFile, Other }

    /// <summary>enum rv_file_event.</summary>
    internal enum FileEvent { Created = 1, Appended, Sealed, Truncated, Renamed, Linked, Deleted, Synced, Adopted }

    /// <summary>struct rv_options.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Options
    {
        public byte* Directory;
        public nint Files;
        public long BlockCacheBytes;
        public long WriteBufferBytes;
        public int Mode;
        public int Create;
        public int BlobZstd;
    }

    /// <summary>struct rv_statistics.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Statistics
    {
        public long BlobFiles, BlobFileBytes, BlobBytes, BlobGarbageBytes, BlobCount, BlobGarbageCount;
        public long TableFiles, TableBytes, Level0Files, RangeDeletions, UnflushedBytes, PendingCompactionBytes;
        public long Snapshots, Flushes, BlockCacheBytes, BackgroundErrors, WriteStopped;
    }

    [LibraryImport(Library)]
    private static partial int rv_interface();

    [LibraryImport(Library)]
    internal static partial void rv_free(nint message);

    [LibraryImport(Library)]
    internal static partial void rv_before_exit(delegate* unmanaged<void> call);

    [LibraryImport(Library)]
    internal static partial nint rv_files_create(
        delegate* unmanaged<nint, int, byte*, byte*, byte*, long, long, uint, int> callback, nint context, int faults);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial nint rv_files_of(string directory,
        delegate* unmanaged<nint, int, byte*, byte*, byte*, long, long, uint, int> callback, nint context, int faults);

    [LibraryImport(Library)]
    internal static partial void rv_files_hold(nint files, int hold);

    [LibraryImport(Library)]
    internal static partial void rv_files_read_absent(nint files,
        delegate* unmanaged<nint, byte*, long, long, byte*, long> callback, nint context);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial void rv_file_absent(nint files, string name, int absent);

    [LibraryImport(Library)]
    internal static partial Code rv_record(nint files, nint options, out nint error);

    [LibraryImport(Library)]
    internal static partial Code rv_record_cpp(nint files, nint options, out nint error);

    [LibraryImport(Library)]
    internal static partial Code rv_may_record_cpp(nint files, nint familyOptions, out nint error);

    [LibraryImport(Library)]
    internal static partial nint rv_env(nint files);

    [LibraryImport(Library)]
    internal static partial int rv_is_locked(nint files);

    [LibraryImport(Library)]
    internal static partial int rv_has_default_env(nint env);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial void rv_refuse(string why, int isFenced);

    [LibraryImport(Library)]
    internal static partial void rv_recorded_open(nint database);

    [LibraryImport(Library)]
    internal static partial void rv_recorded_close(nint database);

    [LibraryImport(Library)]
    internal static partial nint rv_rocksdb_version();

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial Code rv_pairs_open(string directory, nint files, out nint pairs, out nint error);

    [LibraryImport(Library)]
    internal static partial void rv_pairs_close(nint pairs);

    [LibraryImport(Library)]
    internal static partial byte* rv_pairs_family_name(nint pairs, int family, out long length);

    [LibraryImport(Library)]
    internal static partial Code rv_pairs_add_family(nint pairs, byte* name, long length, out nint error);

    [LibraryImport(Library)]
    internal static partial ulong rv_pairs_sequence(nint pairs);

    [LibraryImport(Library)]
    internal static partial Code rv_pairs_scan(nint pairs, int family, byte* from, long fromLength, byte* to,
        long toLength, delegate* unmanaged<nint, byte*, long, byte*, long, int> callback, nint context,
        out nint error);

    [LibraryImport(Library)]
    internal static partial Code rv_pairs_put(nint pairs, int family, byte* key, long keyLength, byte* value,
        long valueLength, out nint error);

    [LibraryImport(Library)]
    internal static partial Code rv_pairs_write(nint pairs, int sync, out nint error);

    [LibraryImport(Library)]
    internal static partial void rv_files_free(nint files);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial void rv_files_fault(nint files, int operations, string suffix, long skip, long times,
        int error);

    [LibraryImport(Library)]
    internal static partial void rv_files_heal(nint files);

    [LibraryImport(Library)]
    internal static partial Code rv_open(in Options options, out nint store, out nint error);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial Code rv_trial(string directory, string? trial, int depth, byte* canceled,
        out nint error);

    [LibraryImport(Library)]
    internal static partial void rv_close(nint store);

    [LibraryImport(Library)]
    internal static partial Code rv_get(
        StoreHandle store, nint snapshot, uint database, uint page, byte* buffer, int capacity, out int length,
            out nint error);

    [LibraryImport(Library)]
    internal static partial Code rv_scan(StoreHandle store, nint snapshot, uint database, uint first, uint last,
        delegate* unmanaged<nint, uint, byte*, int, int> callback, nint context, out nint error);

    [LibraryImport(Library)]
    internal static partial Code rv_next_database(StoreHandle store, uint from, out uint database, out nint error);

    [LibraryImport(Library)]
    internal static partial nint rv_snapshot_take(StoreHandle store);

    [LibraryImport(Library)]
    internal static partial void rv_snapshot_release(StoreHandle store, nint snapshot);

    [LibraryImport(Library)]
    internal static partial Code rv_applied(StoreHandle store, nint snapshot, out ulong applied, out nint error);

    [LibraryImport(Library)]
    internal static partial Code rv_persisted_applied(StoreHandle store, out ulong applied, out nint error);

    [LibraryImport(Library)]
    internal static partial nint rv_batch_create();

    [LibraryImport(Library)]
    internal static partial void rv_batch_free(nint batch);

    [LibraryImport(Library)]
    internal static partial void rv_batch_clear(BatchHandle batch);

    [LibraryImport(Library)]
    internal static partial long rv_batch_bytes(BatchHandle batch);

    [LibraryImport(Library)]
    internal static partial Code rv_batch_put(BatchHandle batch, uint database, uint page, byte* value, int length);

    [LibraryImport(Library)]
    internal static partial Code rv_batch_delete_range(BatchHandle batch, uint database, uint first, uint last);

    [LibraryImport(Library)]
    internal static partial Code rv_apply(StoreHandle store, BatchHandle batch, int hasApplied, ulong applied,
        out nint error);

    [LibraryImport(Library)]
    internal static partial Code rv_flush(StoreHandle store, out nint error);

    [LibraryImport(Library)]
    internal static partial Code rv_compact(StoreHandle store, int collect, double ageCutoff, byte* canceled,
        out nint error);

    [LibraryImport(Library)]
    internal static partial Code rv_hold_files(StoreHandle store, int hold, out nint error);

    [LibraryImport(Library)]
    internal static partial Code rv_stat(StoreHandle store, out Statistics statistics, out nint error);

    [LibraryImport(Library)]
    internal static partial long rv_unflushed_bytes(StoreHandle store);
}
