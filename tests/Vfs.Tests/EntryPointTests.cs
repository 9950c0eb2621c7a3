using System.Runtime.InteropServices;
using RecoveryVfs.Handles;
using RecoveryVfs.Interop;

namespace RecoveryVfs.Tests;

/// <summary>
/// Nothing is thrown into SQLite: what a file throws becomes a result, whichever of SQLite's methods was called. (An
/// exception that got out would end the process.)
/// </summary>
public sealed unsafe class EntryPointTests
{
    const string Why = "a file that cannot do anything";

    sealed class ThrowingFile : VfsFile
    {
        static InvalidOperationException Thrown => new(Why);

        public override long SizeBytes => throw Thrown;
        public override int Capabilities => throw Thrown;
        public override bool IsReserved => throw Thrown;
        public override int Read(Span<byte> destination, long offset) => throw Thrown;
        public override int Write(ReadOnlySpan<byte> source, long offset) => throw Thrown;
        public override int Truncate(long sizeBytes) => throw Thrown;
        public override int Sync() => throw Thrown;
        public override int Close() => throw Thrown;
        public override int Lock(LockLevel level) => throw Thrown;
        public override int Unlock(LockLevel level) => throw Thrown;
        public override int MapSharedMemory(int region, int sizeBytes, bool extend, out nint address) => throw Thrown;
        public override int LockSharedMemory(int offset, int count, int flags) => throw Thrown;
        public override void BeforeOthersSee() => throw Thrown;
        public override int UnmapSharedMemory() => throw Thrown;
    }

    static void With(Action<nint> use)
    {
        var methods = FileEntryPoints.Methods;
        var file = (NativeFile*)NativeMemory.AllocZeroed((nuint)sizeof(NativeFile));
        file->Methods = methods;
        file->Handle = GCHandle.ToIntPtr(GCHandle.Alloc(new ThrowingFile()));
        Failures.Report(Sqlite.Warning, "nothing yet");
        use((nint)file);
        NativeMemory.Free(file);
    }

    public static TheoryData<string, int> Calls => new()
    {
        { "read", Sqlite.IoErrRead }, { "write", Sqlite.IoErrWrite }, { "truncate", Sqlite.IoErrTruncate },
            { "sync", Sqlite.IoErrFsync }, { "size", Sqlite.IoErrFstat },
        { "lock", Sqlite.IoErrLock }, { "unlock", Sqlite.IoErrUnlock }, { "check reserved", Sqlite.IoErrLock },
            { "map", Sqlite.IoErrShmMap }, { "lock memory", Sqlite.IoErrShmLock },
        { "unmap", Sqlite.IoErrShmMap }, { "characteristics", 0 }, { "close", Sqlite.IoErrClose },
    };

    [Theory]
    [MemberData(nameof(Calls))]
    public void What_a_file_throws_is_a_result(string call, int expected) => With(pointer =>
    {
        var file = (NativeFile*)pointer;
        var methods = FileEntryPoints.Methods;
        long number;
        int flag;
        void* address;
        var bytes = stackalloc byte[16];
        var code = call switch
        {
            "read" => methods->Read(file, bytes, 16, 0),
            "write" => methods->Write(file, bytes, 16, 0),
            "truncate" => methods->Truncate(file, 0),
            "sync" => methods->Sync(file, 2),
            "size" => methods->FileSize(file, &number),
            "lock" => methods->Lock(file, 1),
            "unlock" => methods->Unlock(file, 0),
            "check reserved" => methods->CheckReservedLock(file, &flag),
            "map" => methods->ShmMap(file, 0, 32768, 1, &address),
            "lock memory" => methods->ShmLock(file, 0, 1, 6),
            "unmap" => methods->ShmUnmap(file, 0),
            "characteristics" => methods->DeviceCharacteristics(file),
            _ => methods->Close(file),
        };
        Assert.Equal(expected, code);
        Assert.Contains(Why, Failures.Last);
    });

    /// <summary>It has no answer: what it could not do is said, and COMMIT_PHASETWO does it again.</summary>
    [Fact]
    public void A_barrier_that_throws_says_so() => With(pointer =>
    {
        FileEntryPoints.Methods->ShmBarrier((NativeFile*)pointer);
        Assert.Contains(Why, Failures.Last);
    });

    [Fact]
    public void A_sector_has_a_size_whatever_the_file_does()
        => With(pointer => Assert.Equal(4096, FileEntryPoints.Methods->SectorSize((NativeFile*)pointer)));
}
