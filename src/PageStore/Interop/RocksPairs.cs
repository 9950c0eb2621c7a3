using System.Runtime.InteropServices;
using System.Text;
using RecoveryVfs.RecoveryLog;
using Code = RecoveryVfs.PageStore.Interop.Native.Code;

namespace RecoveryVfs.PageStore.Interop;

/// <summary>Takes a pair, and says whether there is to be another one.</summary>
internal delegate bool PairTaken(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value);

/// <summary>
/// The pairs of anybody's RocksDB, without its application. For one thread at a time.
/// </summary>
internal sealed unsafe class RocksPairs : IDisposable
{
    readonly string directory;
    readonly List<string> families = [];
    nint handle;

    RocksPairs(string directory, RecordedFiles? files)
    {
        this.directory = directory;
        Check(Native.rv_pairs_open(directory, files?.Handle ?? 0, out handle, out var error), error, "opened");
        for (var i = 0; Native.rv_pairs_family_name(handle, i, out var length) is var name && name != null; i++)
            families.Add(Encoding.UTF8.GetString(name, checked((int)length)));
    }

    /// <summary>Whether a directory is a RocksDB's.</summary>
    public static bool IsIn(string directory) => File.Exists(Path.Combine(directory, "CURRENT"));

    /// <summary>
    /// For reading: as it is at one moment, also while another process writes it. Nothing is changed.
    /// </summary>
    public static RocksPairs OpenForReading(string directory)
    {
        if (!IsIn(directory))
            throw new RecoveryException(RecoveryError.NotFound, $"There is no RocksDB in {directory}.")
            { Path = directory };
        return new RocksPairs(directory, null);
    }

    /// <summary>For writing; made when there is none. The files outlive it.</summary>
    public static RocksPairs OpenForWriting(string directory, RecordedFiles files) => new(directory, files);

    /// <summary>The names of all column families; a family's place here is its number.</summary>
    public IReadOnlyList<string> Families => families;

    /// <summary>RocksDB's own number of the newest write that is seen.</summary>
    public ulong Sequence => Native.rv_pairs_sequence(handle);

    /// <summary>
    /// Gives the pairs of a family in the order of their keys, from one on and up to, but without, another.
    /// </summary>
    public void Scan(int family, byte[]? from, byte[]? to, PairTaken take)
    {
        var scan = new Scanned(take);
        var self = GCHandle.Alloc(scan);
        try
        {
            fixed (byte* first = Pinnable(from), last = Pinnable(to))
                Check(Native.rv_pairs_scan(handle, family, from is null ? null : first, from?.Length ?? 0,
                    to is null ? null : last, to?.Length ?? 0, &OnPair, GCHandle.ToIntPtr(self), out var error), error,
                    $"read ({families[family]})");
        }
        finally
        {
            self.Free();
        }
        if (scan.Failure is { } failure) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
    }

    /// <summary>An empty array has no first byte, and is not null all the same.</summary>
    static byte[] Pinnable(byte[]? bytes) => bytes is null or [] ? [0] : bytes;

    /// <summary>The number of a family, which is made when it is not there.</summary>
    public int FamilyOf(string name)
    {
        if (families.IndexOf(name) is var known and >= 0) return known;
        var bytes = Encoding.UTF8.GetBytes(name);
        fixed (byte* first = Pinnable(bytes))
            Check(Native.rv_pairs_add_family(handle, first, bytes.Length, out var error), error,
                $"given the column family {name}");
        families.Add(name);
        return families.Count - 1;
    }

    /// <summary>Adds to what <see cref="Write"/> writes.</summary>
    public void Put(int family, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        fixed (byte* k = key, v = value)
            Check(Native.rv_pairs_put(handle, family, k, key.Length, v, value.Length, out var error), error, "written");
    }

    /// <summary>Writes what was put, all of it or nothing.</summary>
    public void Write(bool sync) =>
        Check(Native.rv_pairs_write(handle, sync ? 1 : 0, out var error), error, "written");

    sealed class Scanned(PairTaken take)
    {
        public Exception? Failure { get; private set; }

        public int Take(byte* key, long keyLength, byte* value, long valueLength)
        {
            try
            {
                return take(new ReadOnlySpan<byte>(key, checked((int)keyLength)),
                    new ReadOnlySpan<byte>(value, checked((int)valueLength))) ? 0 : 1;
            }
            catch (Exception e)
            {
                // Nothing may be thrown through RocksDB.
                Failure = e;
                return 1;
            }
        }
    }

    [UnmanagedCallersOnly]
    static int OnPair(nint context, byte* key, long keyLength, byte* value, long valueLength) =>
        ((Scanned)GCHandle.FromIntPtr(context).Target!).Take(key, keyLength, value, valueLength);

    void Check(Code code, nint error, string what)
    {
        if (code == Code.Ok) return;
        var why = (Marshal.PtrToStringUTF8(error) ?? "unknown").TrimEnd('.');
        Native.rv_free(error);
        var (kind, hint) = code switch
        {
            Code.Corrupt or Code.MissingFile => (RecoveryError.Corrupt, "Nothing damaged was given on."),
            Code.Busy => (RecoveryError.Busy, "Close it in the process that has it open, or use its remote."),
            Code.Invalid => (RecoveryError.Unsupported,
                "Only its own application knows its order of keys, or how it merges values: use RecordedRocksDb "
                    + "there."),
            Code.NoSpace => (RecoveryError.Full, "Free some space on this disk."),
            _ => (RecoveryError.IoRead, "Check the disk, and the rights of its files."),
        };
        throw new RecoveryException(kind, $"The RocksDB in {directory} cannot be {what}: {why}.", hint)
        { Path = directory };
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref handle, 0) is var last && last != 0) Native.rv_pairs_close(last);
    }
}
