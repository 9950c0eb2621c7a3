using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace RecoveryVfs.Replicate.Interop;

/// <summary>
/// Tells which files of some directories change (Linux, inotify): one descriptor for all of them. Where the system has
/// none left, or a file system does not tell, nothing comes, and whoever waits looks by itself now and then.
/// </summary>
internal sealed unsafe partial class ChangeNotices : IDisposable
{
    const int CloseOnExec = 0x80000, NonBlocking = 0x800, PollIn = 1, BufferBytes = 64 << 10, HeaderBytes = 16;
    const uint Modified = 0x2, MovedFrom = 0x40, MovedTo = 0x80, Created = 0x100, Deleted = 0x200, Overflow = 0x4000;

    readonly Action<string?, string?> changed;
    readonly TimeSpan rest;
    readonly Dictionary<int, string> directories = [];
    readonly ManualResetEventSlim closing = new();
    readonly Thread? thread;
    readonly int descriptor;

    /// <param name="changed">Told a directory and a name in it; nulls when anything may have changed.</param>
    /// <param name="rest">How long changes gather before they are told.</param>
    public ChangeNotices(Action<string?, string?> changed, TimeSpan rest)
    {
        (this.changed, this.rest) = (changed, rest);
        descriptor = inotify_init1(CloseOnExec | NonBlocking);
        if (descriptor < 0) return;
        thread = new Thread(Listen) { IsBackground = true, Name = "recovery notices" };
        thread.Start();
    }

    /// <summary>Watches a directory; false when the system does not.</summary>
    public bool Watch(string directory)
    {
        if (descriptor < 0) return false;
        lock (directories)
        {
            var watch = inotify_add_watch(descriptor, directory, Modified | MovedFrom | MovedTo | Created | Deleted);
            if (watch < 0) return false;
            directories[watch] = directory;
            return true;
        }
    }

    void Listen()
    {
        var buffer = new byte[BufferBytes];
        while (!closing.Wait(rest))
        {
            var poll = new Poll { Descriptor = descriptor, Events = PollIn };
            // Not for ever, so that closing is noticed.
            if (Poll.Wait(&poll, 1, 500) <= 0) continue;
            nint count;
            fixed (byte* into = buffer) count = read(descriptor, into, BufferBytes);
            if (count > 0) Tell(buffer.AsSpan(0, (int)count));
        }
    }

    void Tell(ReadOnlySpan<byte> events)
    {
        while (events.Length >= HeaderBytes)
        {
            var watch = BinaryPrimitives.ReadInt32LittleEndian(events);
            var mask = BinaryPrimitives.ReadUInt32LittleEndian(events[4..]);
            var length = BinaryPrimitives.ReadInt32LittleEndian(events[12..]);
            var name = events.Slice(HeaderBytes, length);
            events = events[(HeaderBytes + length)..];
            string? directory;
            lock (directories) directory = directories.GetValueOrDefault(watch);
            if ((mask & Overflow) != 0) changed(null, null);
            else if (directory is not null) changed(directory, Encoding.UTF8.GetString(name.TrimEnd((byte)0)));
        }
    }

    public void Dispose()
    {
        if (thread is null) return;
        closing.Set();
        thread.Join();
        _ = close(descriptor);
    }

    [StructLayout(LayoutKind.Sequential)]
    partial struct Poll
    {
        public int Descriptor;
        public short Events, Returned;

        [LibraryImport("libc", EntryPoint = "poll")]
        public static partial int Wait(Poll* polls, ulong count, int milliseconds);
    }

    [LibraryImport("libc")]
    private static partial int inotify_init1(int flags);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int inotify_add_watch(int descriptor, string path, uint mask);

    [LibraryImport("libc")]
    private static partial nint read(int descriptor, byte* buffer, nint count);

    [LibraryImport("libc")]
    private static partial int close(int descriptor);
}
