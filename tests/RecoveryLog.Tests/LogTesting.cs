using System.Text;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Tests;

/// <summary>A record as tests keep it.</summary>
sealed record Kept(ulong Lsn, RecordKind Kind, byte Flags, string Body)
{
    public static Kept Of(in Record r) => new(r.Lsn, r.Kind, r.Flags, Convert.ToHexString(r.Body));
}

/// <summary>Short ways to make logs on disks in memory.</summary>
static class LogTesting
{
    public const string Dir = "/store/.recovery";
    public static readonly Guid Id = Guid.Parse("00112233-4455-6677-8899-aabbccddeeff");

    public static LogOptions Small => new()
    {
        LogId = Id,
        SegmentBytes = 8192,
        FirstSegmentBytes = 8192,
        BufferBytes = 4096,
        PrepareInBackground = false,
        Time = new StoppedTime(),
    };

    public static LocalLog Open(ILogDisk disk, LogOptions? options = null, ulong replayFrom = 1,
        List<Kept>? into = null) =>
        LocalLog.Open(disk, Dir, options ?? Small, replayFrom, (in Record r) => into?.Add(Kept.Of(r)));

    public static List<Kept> Replayed(ILogDisk disk, LogOptions? options = null, ulong replayFrom = 1)
    {
        var found = new List<Kept>();
        Open(disk, options, replayFrom, found).Dispose();
        return found;
    }

    public static byte[] Text(string text) => Encoding.UTF8.GetBytes(text);

    public static byte[] Bytes(Random random, int length)
    {
        var bytes = new byte[length];
        random.NextBytes(bytes);
        return bytes;
    }

    public static RecoveryException Throws(RecoveryError error, Action action)
    {
        var e = Assert.Throws<RecoveryException>(action);
        Assert.True(e.Error == error, $"expected {error}, got {e.Error}: {e.Message}");
        return e;
    }

    public static string SegmentPath(ulong firstLsn) => $"{Dir}/log/{firstLsn:x16}.log";

    sealed class StoppedTime : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => DateTimeOffset.FromUnixTimeMilliseconds(1_700_000_000_123);
    }
}
