using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;
using RecoveryVfs.Interop;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Statements;

/// <summary>What a frame is.</summary>
internal enum SqlFrame : byte
{
    /// <summary>
    /// Client: version (u32), time limit in seconds (u32), name of the database (text). Server: version, who it is
    /// (text).
    /// </summary>
    Hello = (byte)'H',
    /// <summary>Client: statements (text).</summary>
    Statements = (byte)'S',
    /// <summary>Server: a statement that gives rows begins: how many columns (u16), their names (texts).</summary>
    Columns = (byte)'C',
    /// <summary>
    /// Server: as many values as there are columns: kind (u8, SQLite's numbers), then an integer or a real (64 bits),
    /// or a text or blob.
    /// </summary>
    Row = (byte)'R',
    /// <summary>Server: a statement has ended: whether it gave rows (u8), how many rows it has changed (i64).</summary>
    Done = (byte)'D',
    /// <summary>
    /// Server: what failed: SQLite's extended code (i32), its message (text). The statements after it were not run.
    /// </summary>
    Error = (byte)'E',
    /// <summary>
    /// Client: the database becomes what a file holds (its name within the store's directory, a text); or several, of
    /// which this is the first: a line for the file of each, and one for the database's name. Server: as a statement
    /// with a row for each: the last LSN before it, the commit's, and how many pages differed (-1: not known).
    /// </summary>
    Replace = (byte)'P',
    /// <summary>Server: it waits for statements; whether a transaction is open (u8).</summary>
    Ready = (byte)'Z',
}

/// <summary>
/// Frames over a socket between two processes of one user: length of what follows (u32), kind (u8), body; numbers are
/// little-endian, a text is its length in bytes (u32) and UTF-8.
/// </summary>
internal sealed class SqlChannel(Socket socket) : IDisposable
{
    public const uint Version = 1;

    /// <summary>
    /// Of one frame: a row may hold a blob as large as SQLite's largest by default, and no more is believed.
    /// </summary>
    const int FrameBytesMax = 1 << 30, SendAtBytes = 64 << 10;

    readonly MemoryStream pending = new();
    readonly byte[] number = new byte[8];
    int frameAt;

    /// <summary>Bytes of frames sent so far.</summary>
    public long SentBytes { get; private set; }

    public Socket Socket => socket;

    public SqlChannel Begin(SqlFrame kind)
    {
        frameAt = (int)pending.Position;
        return Put(0u).Put((byte)kind);
    }

    public SqlChannel Put(byte value)
    {
        pending.WriteByte(value);
        return this;
    }

    public SqlChannel Put(uint value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(number, value);
        pending.Write(number, 0, 4);
        return this;
    }

    public SqlChannel Put(long value)
    {
        BinaryPrimitives.WriteInt64LittleEndian(number, value);
        pending.Write(number, 0, 8);
        return this;
    }

    public SqlChannel Put(string text) => Put(Encoding.UTF8.GetBytes(text));

    public SqlChannel Put(byte[] bytes)
    {
        Put((uint)bytes.Length);
        pending.Write(bytes);
        return this;
    }

    /// <summary>Ends a frame; it is sent when there is enough to send, or at once when somebody waits for it.</summary>
    public void End(bool atOnce = false)
    {
        var bytes = pending.GetBuffer();
        var length = (int)pending.Position;
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(frameAt), (uint)(length - frameAt - 4));
        if (!atOnce && length < SendAtBytes) return;
        pending.SetLength(0);
        SentBytes += length;
        for (var sent = 0; sent < length;) sent += socket.Send(bytes, sent, length - sent, SocketFlags.None);
    }

    /// <summary>
    /// The next frame; null when the other end has closed. Throws <see cref="TimeoutException"/> when it does not come
    /// in time; <paramref name="bytesMax"/> is the most that is believed of its length.
    /// </summary>
    public SqlBody? Read(TimeSpan patience, int bytesMax = FrameBytesMax)
    {
        var until = Environment.TickCount64 + (long)patience.TotalMilliseconds;
        var head = new byte[5];
        if (!Fill(head, until)) return null;
        var length = BinaryPrimitives.ReadUInt32LittleEndian(head);
        if (length == 0 || length > bytesMax)
            throw new RecoveryException(RecoveryError.Invalid,
                $"What came through the socket is no frame: it would have {length} bytes.");
        var body = new byte[length - 1];
        return Fill(body, until) ? new SqlBody((SqlFrame)head[4], body) : null;
    }

    bool Fill(byte[] bytes, long until)
    {
        for (var have = 0; have < bytes.Length;)
        {
            var left = until - Environment.TickCount64;
            if (left <= 0 || !socket.Poll(TimeSpan.FromMilliseconds(left), SelectMode.SelectRead))
                throw new TimeoutException();
            var got = socket.Receive(bytes, have, bytes.Length - have, SocketFlags.None);
            if (got == 0) return false;
            have += got;
        }
        return true;
    }

    /// <summary>Whether the other end has hung up. What it may have sent stays to be read.</summary>
    public bool IsClosed => socket.Poll(0, SelectMode.SelectRead) && socket.Available == 0;

    public void Dispose() => socket.Dispose();
}

/// <summary>A frame that came, read from its beginning to its end.</summary>
internal sealed class SqlBody(SqlFrame kind, byte[] bytes)
{
    int at;

    public SqlFrame Kind { get; } = kind;

    public byte U8() => Take(1)[0];

    public uint U32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(4));

    public long I64() => BinaryPrimitives.ReadInt64LittleEndian(Take(8));

    public byte[] Bytes() => Take(U32()).ToArray();

    public string Text() => Encoding.UTF8.GetString(Take(U32()));

    ReadOnlySpan<byte> Take(uint count)
    {
        if (count > bytes.Length - at)
            throw new RecoveryException(RecoveryError.Invalid,
                $"A frame that came through the socket ({(char)Kind}) ends too early.");
        at += (int)count;
        return bytes.AsSpan(at - (int)count, (int)count);
    }
}
