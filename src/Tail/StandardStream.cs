using System.Runtime.InteropServices;

namespace RecoveryVfs.Tail;

/// <summary>
/// Standard output, or standard error, as any program writes it: where the descriptor stands, behind what is there.
/// (.NET's FileStream writes at offsets of its own, from 0; its console stream hides that nobody reads on, and opens
/// another descriptor at its first line, when there may be none left.)
/// </summary>
sealed partial class StandardStream : Stream
{
    const int OutputDescriptor = 1, ErrorDescriptor = 2, Interrupted = 4, ClosedPipe = 32;

    readonly int descriptor;

    StandardStream(int descriptor) => this.descriptor = descriptor;

    public static StandardStream Output() => new(OutputDescriptor);

    /// <summary>Lines that nobody takes any more are lost: what they tell of goes on.</summary>
    public static TextWriter Errors() =>
        TextWriter.Synchronized(new StreamWriter(new StandardStream(ErrorDescriptor)) { AutoFlush = true });

    public override void Write(ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            var written = WriteSome(descriptor, bytes, (nuint)bytes.Length);
            if (written >= 0)
            {
                bytes = bytes[(int)written..];
                continue;
            }
            var error = Marshal.GetLastPInvokeError();
            if (error == Interrupted) continue;
            if (descriptor == ErrorDescriptor) return;
            throw new IOException(error == ClosedPipe
                ? "Broken pipe"
                : $"Standard output cannot be written: {Marshal.GetPInvokeErrorMessage(error)}.", error);
        }
    }

    /// <summary>
    /// How many of the bytes that were written to standard output nobody has read yet: what is in the pipe. None where
    /// it is no pipe.
    /// </summary>
    public static long UnreadBytes() => Unread(OutputDescriptor, BytesReadable, out var bytes) == 0 ? bytes : 0;

    const nuint BytesReadable = 0x541B; // FIONREAD

    [LibraryImport("libc", EntryPoint = "ioctl")]
    private static partial int Unread(int descriptor, nuint request, out int bytes);

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Flush()
    {
        // Nothing is kept back.
    }

    public override bool CanRead => false;
    public override bool CanSeek => false;
    public override bool CanWrite => true;
    public override long Length => throw new NotSupportedException();
    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }
    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint WriteSome(int descriptor, ReadOnlySpan<byte> bytes, nuint count);
}
