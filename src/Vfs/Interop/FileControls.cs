using System.Runtime.InteropServices;
using RecoveryVfs.Followed;
using RecoveryVfs.Handles;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.Settings;

namespace RecoveryVfs.Interop;

/// <summary>
/// Every operation of xFileControl that SQLite 3.40 defines, each answered on purpose. SQLITE_NOTFOUND means "nothing
/// special about this file", and SQLite goes on as with any file.
/// </summary>
internal static unsafe class FileControls
{
    public static int Answer(MainFile file, int operation, void* argument)
    {
        switch (operation)
        {
            case 1: // LOCKSTATE
                *(int*)argument = (int)file.Level;
                return Sqlite.Ok;
            case 4: // LAST_ERRNO: our errors are messages, not numbers
                *(int*)argument = 0;
                return Sqlite.Ok;
            case 5: // SIZE_HINT: space is reserved when the commit is prepared
            case 6: // CHUNK_SIZE: the file does not grow in chunks
            case 11: // OVERWRITE: VACUUM is about to replace all; an overlay handles that as any transaction
                return Sqlite.Ok;
            case 10: // PERSIST_WAL
                file.PersistWal = GetOrSet((int*)argument, file.PersistWal);
                return Sqlite.Ok;
            case 12: // VFSNAME
                *(byte**)argument = VfsEntryPoints.Api.NewString("recovery");
                return Sqlite.Ok;
            case 13: // POWERSAFE_OVERWRITE
                file.PowersafeOverwrite = GetOrSet((int*)argument, file.PowersafeOverwrite);
                return Sqlite.Ok;
            case 14: // PRAGMA
                return Pragma((byte**)argument, file, static (f, name, value) => Pragmas.Answer(f, name, value));
            case 18: // MMAP_SIZE: pages are never mapped
                *(long*)argument = 0;
                return Sqlite.Ok;
            case 20: // HAS_MOVED
                *(int*)argument = file.IsDeleted ? 1 : 0;
                return Sqlite.Ok;
            case 21: // SYNC
                return file.OnSync(argument == null
                    ? default
                    : MemoryMarshal.CreateReadOnlySpanFromNullTerminated((byte*)argument));
            case 22: // COMMIT_PHASETWO
                return file.OnCommitPhaseTwo();
            case 37: // CKPT_DONE
                file.OnCheckpointDone();
                return Sqlite.Ok;
            case 39: // CKPT_START
                file.OnCheckpointStart();
                return Sqlite.Ok;
            case 40: // EXTERNAL_READER: no other process shares the WAL
                *(int*)argument = 0;
                return Sqlite.Ok;
            // Answered by SQLite itself before a VFS is asked: 7 FILE_POINTER, 27 VFS_POINTER, 28 JOURNAL_POINTER, 35
            // DATA_VERSION (the pager counts; its cache is dropped whenever another version is pinned, see PagerCache),
            // 38 RESERVE_BYTES, 42 RESET_CACHE. Of other systems or other VFSes: 2, 3 LOCKPROXYFILE (macOS), 9
            // WIN32_AV_RETRY, 23 WIN32_SET_HANDLE, 29 WIN32_GET_HANDLE, 25 ZIPVFS, 26 RBU, 36 SIZE_LIMIT (memdb), 41
            // CKSM_FILE. Of no use here: 8 SYNC_OMITTED (no longer sent), 15 BUSYHANDLER and 34 LOCK_TIMEOUT (a lock is
            // never waited for inside the VFS), 16 TEMPFILENAME (temporary files are the system VFS's), 19 TRACE, 24
            // WAL_BLOCK, 30 PDB. 31, 32, 33 BEGIN/COMMIT/ROLLBACK_ATOMIC_WRITE: never sent, since BATCH_ATOMIC is not
            // announced (MainFile.Capabilities).
            default:
                return Sqlite.NotFound;
        }
    }

    /// <summary>The same for a database that is only read, from a follower.</summary>
    public static int Answer(FollowedFile file, int operation, void* argument)
    {
        switch (operation)
        {
            case 1: // LOCKSTATE
                *(int*)argument = (int)file.Level;
                return Sqlite.Ok;
            case 4 or 20: // LAST_ERRNO; HAS_MOVED
                *(int*)argument = 0;
                return Sqlite.Ok;
            case 12: // VFSNAME
                *(byte**)argument = VfsEntryPoints.Api.NewString("recovery");
                return Sqlite.Ok;
            case 14: // PRAGMA
                return Pragma((byte**)argument, file,
                    static (f, name, value) => FollowedPragmas.Answer(f, name, value));
            case 18: // MMAP_SIZE: pages are never mapped
                *(long*)argument = 0;
                return Sqlite.Ok;
            default:
                return Sqlite.NotFound;
        }
    }

    // A negative value asks, any other sets.
    static bool GetOrSet(int* value, bool current)
    {
        if (*value >= 0) return *value != 0;
        *value = current ? 1 : 0;
        return current;
    }

    // The argument: [0] our answer or error message, [1] the pragma's name, [2] its value or null.
    static int Pragma<T>(byte** argument, T file, Func<T, string, string?, string?> answerOf)
    {
        var name = MemoryMarshal.CreateReadOnlySpanFromNullTerminated(argument[1]);
        // Every PRAGMA of every connection comes by here: the others must cost nothing.
        if (name.Length < 9 || (name[0] | 0x20) != 'r' || (name[8] != '_')) return Sqlite.NotFound;
        string? answer;
        var code = Sqlite.Ok;
        try
        {
            var text = Marshal.PtrToStringUTF8((nint)argument[1])!.ToLowerInvariant();
            answer = answerOf(file, text, Marshal.PtrToStringUTF8((nint)argument[2]));
            if (answer is null) return Sqlite.NotFound;
        }
        catch (Exception e)
        {
            Failures.Report(e, Sqlite.Error);
            code = e is RecoveryException { Error: RecoveryError.Full } ? Sqlite.Full : Sqlite.Error;
            answer = e.Message;
        }
        argument[0] = VfsEntryPoints.Api.NewString(answer);
        return code;
    }
}
