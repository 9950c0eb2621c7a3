using System.Net;
using System.Net.Sockets;
using Amazon.Runtime;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.Simulation;
using static RecoveryVfs.RecoveryLog.Tests.LogTesting;

namespace RecoveryVfs.RecoveryLog.Tests;

/// <summary>What an error says in its message, its properties say to programs.</summary>
public sealed class ErrorDetailTests : IDisposable
{
    readonly string directory = Directory.CreateTempSubdirectory("recovery-errors-").FullName;

    public void Dispose() => Directory.Delete(directory, true);

    static void HasHint(RecoveryException e, string beginning)
    {
        Assert.StartsWith(beginning, e.Hint);
        Assert.EndsWith(" " + e.Hint, e.Message);
    }

    [Fact]
    public void Damage_of_the_log_names_the_file_and_the_LSN()
    {
        var disk = new PowerLossDisk();
        using (var log = Open(disk))
            for (var i = 0; i < 9; i++)
            {
                log.Append(RecordKind.Noted, new byte[20]);
                log.Sync(log.LastLsn);
            }
        var path = SegmentPath(1);
        disk.FlipBit(path, 200, 1);
        var e = Throws(RecoveryError.Corrupt, () => Replayed(disk));
        Assert.Equal(path, e.Path);
        Assert.Contains($"LSN {e.Lsn} ", e.Message);
        Assert.False(e.IsTransient);
        HasHint(e, "Restore the store from its remote");
    }

    [Fact]
    public void What_is_gone_from_the_log_names_the_LSN_that_was_wanted()
    {
        using var log = Open(new PowerLossDisk());
        var e = Throws(RecoveryError.NotFound, () => log.Hold("somebody", 0));
        Assert.Equal((0ul, $"{Dir}/log"), (e.Lsn, e.Path));
        HasHint(e, "Start from newer hints");
    }

    [Fact]
    public void A_disk_without_room_names_the_file_that_could_not_be_written()
    {
        // The kernel's own file that is always full.
        var full = Path.Combine(directory, "full");
        File.CreateSymbolicLink(full, "/dev/full");
        using var handle = File.OpenHandle(full, FileMode.Open, FileAccess.Write);
        var errno = Assert.Throws<IOException>(() => RandomAccess.Write(handle, new byte[1], 0)).HResult & 0xffff;
        var e = DiskErrors.From(DiskOperation.Write, full, errno);
        Assert.Equal((RecoveryError.Full, full), (e.Error, e.Path));
        HasHint(e, "Free some space");
    }

    [Fact]
    public async Task A_remote_that_nobody_answers_for_may_come_back()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;
        listener.Stop();
        var url = RemoteUrl.Parse($"s3://bucket/app?endpoint=http://127.0.0.1:{port}", _ => null);
        await using var store = new S3ObjectStore(url, TimeProvider.System, new BasicAWSCredentials("key", "secret"));
        var context = new RemoteContext { Store = store, Tries = 1 };
        var e = await Assert.ThrowsAsync<RecoveryException>(async ()
            => await RestorePlanner.PlanAsync(context, RestoreTarget.Newest));
        Assert.Equal((RecoveryError.Remote, true), (e.Error, e.IsTransient));
        Assert.Equal($"{store.Location}/store.json", e.Path);
        HasHint(e, "Check that the object store can be reached");
    }

    [Fact]
    public async Task A_remote_that_is_not_there_is_named()
    {
        await using var store = RemoteUrl.Parse(new Uri(directory).AbsoluteUri, _ => null).Open();
        var context = new RemoteContext { Store = store };
        var e = await Assert.ThrowsAsync<RecoveryException>(async ()
            => await RestorePlanner.PlanAsync(context, RestoreTarget.Newest));
        Assert.Equal((RecoveryError.NotFound, store.Location), (e.Error, e.Path));
        HasHint(e, "Check the URL");
    }

    [Fact, System.Runtime.Versioning.SupportedOSPlatform("linux")]
    public void A_file_that_others_may_write_is_named_and_not_believed()
    {
        var path = Path.Combine(directory, "config");
        File.WriteAllText(path, "");
        File.SetUnixFileMode(path, (UnixFileMode)0x1b6);
        var e = Throws(RecoveryError.Untrusted, () => Trust.Require(path));
        Assert.Equal(path, e.Path);
        HasHint(e, "See that what it says is yours");
    }

    [Fact]
    public void A_mistake_has_a_hint_and_no_place()
    {
        var e = Throws(RecoveryError.Invalid, () => RemoteUrl.Parse("ftp://x/y", _ => null));
        Assert.Equal((null, null), (e.Path, e.Lsn));
        HasHint(e, "Write s3://bucket/prefix");
    }

    [Fact]
    public void The_same_error_for_another_caller_says_the_same()
    {
        var first = new RecoveryException(RecoveryError.Full, "No room.", "Make some.")
        {
            Path = "/a",
            Lsn = 7,
            IsTransient = true
        };
        var again = first.Again();
        Assert.Equal((first.Message, first.Error, first.Path, first.Lsn, first.Hint, first.IsTransient),
            (again.Message, again.Error, again.Path, again.Lsn, again.Hint, again.IsTransient));
        Assert.Same(first, again.InnerException);
        Assert.True(new RecoveryException(RecoveryError.Busy, "Somebody has it.").IsTransient);
    }
}
