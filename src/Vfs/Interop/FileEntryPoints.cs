using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using RecoveryVfs.Followed;
using RecoveryVfs.Handles;

namespace RecoveryVfs.Interop;

/// <summary>
/// What SQLite calls on an open file. Each finds the managed file through the handle in <see cref="NativeFile"/>, and
/// lets no exception out. A read costs one indirect call and one virtual call above the file's own work, and allocates
/// nothing.
/// </summary>
internal static unsafe class FileEntryPoints
{
    const int SectorBytes = 4096;

    static NativeIoMethods* methods;

    /// <summary>The table of all our files, in memory that never moves.</summary>
    public static NativeIoMethods* Methods => methods != null ? methods : methods = CreateMethods();

    static NativeIoMethods* CreateMethods()
    {
        var table = (NativeIoMethods*)NativeMemory.AllocZeroed((nuint)sizeof(NativeIoMethods));
        table->Version = 2;
        table->Close = &Close;
        table->Read = &Read;
        table->Write = &Write;
        table->Truncate = &Truncate;
        table->Sync = &Sync;
        table->FileSize = &FileSize;
        table->Lock = &Lock;
        table->Unlock = &Unlock;
        table->CheckReservedLock = &CheckReservedLock;
        table->FileControl = &FileControl;
        table->SectorSize = &SectorSize;
        table->DeviceCharacteristics = &DeviceCharacteristics;
        table->ShmMap = &ShmMap;
        table->ShmLock = &ShmLock;
        table->ShmBarrier = &ShmBarrier;
        table->ShmUnmap = &ShmUnmap;
        return table;
    }

    // The handle was made from a VfsFile by VfsEntryPoints.Open, and lives until Close.
    static VfsFile FileOf(NativeFile* file) => Unsafe.As<VfsFile>(GCHandle.FromIntPtr(file->Handle).Target!);

    static int Refused(int code) => Failures.Report(code, ForkGuard.Message);

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int Close(NativeFile* file)
    {
        try
        {
            // In a forked child nothing is touched: the file belongs to the parent.
            if (ForkGuard.IsChild) return Sqlite.Ok;
            var handle = GCHandle.FromIntPtr(file->Handle);
            var opened = Unsafe.As<VfsFile>(handle.Target!);
            handle.Free();
            file->Methods = null;
            return opened.Close();
        }
        catch (Exception e)
        {
            return Failures.Report(e, Sqlite.IoErrClose);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int Read(NativeFile* file, void* buffer, int count, long offset)
    {
        try
        {
            if (ForkGuard.IsChild) return Refused(Sqlite.IoErrRead);
            return FileOf(file).Read(new Span<byte>(buffer, count), offset);
        }
        catch (Exception e)
        {
            return Failures.Report(e, Sqlite.IoErrRead);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int Write(NativeFile* file, void* buffer, int count, long offset)
    {
        try
        {
            if (ForkGuard.IsChild) return Refused(Sqlite.IoErrWrite);
            return FileOf(file).Write(new ReadOnlySpan<byte>(buffer, count), offset);
        }
        catch (Exception e)
        {
            return Failures.Report(e, Sqlite.IoErrWrite);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int Truncate(NativeFile* file, long size)
    {
        try
        {
            if (ForkGuard.IsChild) return Refused(Sqlite.IoErrTruncate);
            return FileOf(file).Truncate(size);
        }
        catch (Exception e)
        {
            return Failures.Report(e, Sqlite.IoErrTruncate);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int Sync(NativeFile* file, int flags)
    {
        try
        {
            if (ForkGuard.IsChild) return Refused(Sqlite.IoErrFsync);
            return FileOf(file).Sync();
        }
        catch (Exception e)
        {
            return Failures.Report(e, Sqlite.IoErrFsync);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int FileSize(NativeFile* file, long* size)
    {
        try
        {
            if (ForkGuard.IsChild) return Refused(Sqlite.IoErrFstat);
            *size = FileOf(file).SizeBytes;
            return Sqlite.Ok;
        }
        catch (Exception e)
        {
            return Failures.Report(e, Sqlite.IoErrFstat);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int Lock(NativeFile* file, int level)
    {
        try
        {
            if (ForkGuard.IsChild) return Refused(Sqlite.IoErrLock);
            return FileOf(file).Lock((LockLevel)level);
        }
        catch (Exception e)
        {
            return Failures.Report(e, Sqlite.IoErrLock);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int Unlock(NativeFile* file, int level)
    {
        try
        {
            return ForkGuard.IsChild ? Sqlite.Ok : FileOf(file).Unlock((LockLevel)level);
        }
        catch (Exception e)
        {
            return Failures.Report(e, Sqlite.IoErrUnlock);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int CheckReservedLock(NativeFile* file, int* result)
    {
        try
        {
            if (ForkGuard.IsChild) return Refused(Sqlite.IoErrLock);
            *result = FileOf(file).IsReserved ? 1 : 0;
            return Sqlite.Ok;
        }
        catch (Exception e)
        {
            return Failures.Report(e, Sqlite.IoErrLock);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int FileControl(NativeFile* file, int operation, void* argument)
    {
        try
        {
            if (ForkGuard.IsChild) return Sqlite.NotFound;
            return FileOf(file) switch
            {
                MainFile main => FileControls.Answer(main, operation, argument),
                FollowedFile followed => FileControls.Answer(followed, operation, argument),
                _ => Sqlite.NotFound,
            };
        }
        catch (Exception e)
        {
            return Failures.Report(e, Sqlite.IoErr);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int SectorSize(NativeFile* file) => SectorBytes;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int DeviceCharacteristics(NativeFile* file)
    {
        try
        {
            return ForkGuard.IsChild ? 0 : FileOf(file).Capabilities;
        }
        catch (Exception e)
        {
            // To promise nothing is always right.
            Failures.Report(e, Sqlite.IoErr);
            return 0;
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int ShmMap(NativeFile* file, int region, int size, int extend, void** address)
    {
        *address = null;
        try
        {
            if (ForkGuard.IsChild) return Refused(Sqlite.IoErrShmMap);
            var code = FileOf(file).MapSharedMemory(region, size, extend != 0, out var mapped);
            *address = (void*)mapped;
            return code;
        }
        catch (Exception e)
        {
            return Failures.Report(e, Sqlite.IoErrShmMap);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int ShmLock(NativeFile* file, int offset, int count, int flags)
    {
        try
        {
            if (ForkGuard.IsChild) return Refused(Sqlite.IoErrShmLock);
            return FileOf(file).LockSharedMemory(offset, count, flags);
        }
        catch (Exception e)
        {
            return Failures.Report(e, Sqlite.IoErrShmLock);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static void ShmBarrier(NativeFile* file)
    {
        try
        {
            if (!ForkGuard.IsChild) FileOf(file).BeforeOthersSee();
        }
        catch (Exception e)
        {
            // It has no answer; COMMIT_PHASETWO tries the same again, and has one.
            Failures.Report(e, Sqlite.IoErrShmMap);
        }
        Interlocked.MemoryBarrier();
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int ShmUnmap(NativeFile* file, int delete)
    {
        try
        {
            return ForkGuard.IsChild ? Sqlite.Ok : FileOf(file).UnmapSharedMemory();
        }
        catch (Exception e)
        {
            return Failures.Report(e, Sqlite.IoErrShmMap);
        }
    }
}
