using System.Runtime.InteropServices;
using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.PageStore.Interop;

/// <summary>What a fault hits: a set.</summary>
[Flags]
internal enum FaultOperations { Open = 1, Write = 2, Sync = 4, Read = 8 }

/// <summary>What a fault looks like to RocksDB.</summary>
internal enum FaultError { Eio = 1, Enospc = 2, Emfile = 3 }

/// <summary>RocksDB's file system: reports to a recorder, and fails when a test asks it to.</summary>
internal sealed unsafe class RecordedFiles : IDisposable
{
    readonly IFileRecorder? recorder;
    readonly IAbsentFiles? absent;
    readonly GCHandle self;
    nint handle;

    internal RecordedFiles(IFileRecorder? recorder, bool faults = false, IAbsentFiles? absent = null)
    {
        (this.recorder, this.absent) = (recorder, absent);
        self = GCHandle.Alloc(this);
        handle = Native.rv_files_create(recorder is null ? null : &OnEvent, GCHandle.ToIntPtr(self), faults ? 1 : 0);
        if (absent is null) return;
        Native.rv_files_read_absent(handle, &OnRead, GCHandle.ToIntPtr(self));
        foreach (var name in absent.Names) Native.rv_file_absent(handle, name, 1);
    }

    /// <summary>Those of a whole directory, and nothing else.</summary>
    internal RecordedFiles(string directory, IDirectoryRecorder recorder, bool faults = false)
    {
        this.recorder = recorder;
        self = GCHandle.Alloc(this);
        handle = Native.rv_files_of(directory, &OnEvent, GCHandle.ToIntPtr(self), faults ? 1 : 0);
    }

    internal nint Handle => handle;

    /// <summary>While it lasts, RocksDB deletes no file.</summary>
    internal IDisposable Hold()
    {
        Native.rv_files_hold(handle, 1);
        return new Held(this);
    }

    sealed class Held(RecordedFiles files) : IDisposable
    {
        RecordedFiles? held = files;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref held, null) is { handle: not 0 } files) Native.rv_files_hold(files.handle, 0);
        }
    }

    /// <summary>The exception with which the recorder refused a change last.</summary>
    internal Exception? Refusal { get; private set; }

    [ThreadStatic] static Exception? readFailure;

    /// <summary>
    /// What kept the absent bytes from being read that this thread wanted last; null when nothing did. Only once.
    /// </summary>
    internal static Exception? TakeReadFailure()
    {
        var failure = readFailure;
        readFailure = null;
        return failure;
    }

    /// <summary>
    /// From the operation after the next <paramref name="skip"/> matching ones, <paramref name="times"/> operations
    /// fail (all when negative). <paramref name="pattern"/> is the beginning or end of the file names that match.
    /// </summary>
    internal void Fail(FaultOperations operations, string pattern, FaultError error, long skip = 0, long times = -1) =>
        Native.rv_files_fault(handle, (int)operations, pattern, skip, times, (int)error);

    /// <summary>Ends all faults.</summary>
    internal void Heal() => Native.rv_files_heal(handle);

    /// <summary>To be called when the stores opened with these files are closed.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref handle, 0) is var last && last == 0)
            return;
        Native.rv_files_free(last);
        self.Free();
    }

    [UnmanagedCallersOnly]
    static int OnEvent(nint context, int kind, byte* name, byte* other, byte* bytes, long length, long size,
        uint crc32c)
    {
        var files = (RecordedFiles)GCHandle.FromIntPtr(context).Target!;
        try
        {
            files.Report((Native.FileEvent)kind, Text(name), other, new ReadOnlySpan<byte>(bytes, checked((int)length)),
                size, crc32c);
            return 0;
        }
        // nothing may be thrown into RocksDB; it gets an error that says the same
        catch (Exception e)
        {
            files.Refusal = e;
            if (files.recorder is IDirectoryRecorder)
                Native.rv_refuse(e.Message, e is RecoveryException { Error: RecoveryError.Fenced } ? 1 : 0);
            return 1;
        }
    }

    [UnmanagedCallersOnly]
    static long OnRead(nint context, byte* name, long offset, long length, byte* bytes)
    {
        var files = (RecordedFiles)GCHandle.FromIntPtr(context).Target!;
        readFailure = null;
        try
        {
            var file = Text(name);
            var got = files.absent!.Read(file, offset, new Span<byte>(bytes, checked((int)length)));
            // From here on RocksDB reads it by itself.
            if (!files.absent.IsAbsent(file)) Native.rv_file_absent(files.handle, file, 0);
            return got;
        }
        // nothing may be thrown into RocksDB
        catch (Exception e)
        {
            readFailure = e;
            return -1;
        }
    }

    void Report(Native.FileEvent kind, string name, byte* other, ReadOnlySpan<byte> bytes, long size, uint crc32c)
    {
        switch (kind)
        {
            case Native.FileEvent.Created: recorder!.Created(name); break;
            case Native.FileEvent.Appended: recorder!.Appended(name, bytes, size, crc32c); break;
            case Native.FileEvent.Sealed: recorder!.Sealed(name, size, crc32c); break;
            case Native.FileEvent.Truncated: recorder!.Truncated(name, size); break;
            case Native.FileEvent.Renamed: recorder!.Renamed(name, Text(other)); break;
            case Native.FileEvent.Linked: recorder!.Linked(name, Text(other)); break;
            case Native.FileEvent.Deleted: recorder!.Deleted(name); break;
            case Native.FileEvent.Synced: ((IDirectoryRecorder)recorder!).Synced(name); break;
            case Native.FileEvent.Adopted: ((IDirectoryRecorder)recorder!).Adopted(name); break;
            default: throw new InvalidOperationException($"Unknown file event {kind}.");
        }
    }

    static string Text(byte* utf8) => Marshal.PtrToStringUTF8((nint)utf8)!;
}
