using System.Diagnostics;
using System.Runtime.InteropServices;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Replicate.Tests;

/// <summary>
/// A replicator whose user may not do what it needs says so, and leaves nothing behind. Run by root; the thread that
/// looks goes on as nobody, as the kernel lets file servers do.
/// </summary>
[System.Runtime.Versioning.SupportedOSPlatform("linux")]
public sealed partial class RightsTests : IDisposable
{
    const int Nobody = 65534;

    readonly Scratch scratch = new();

    public void Dispose() => scratch.Dispose();

    [LibraryImport("libc")]
    private static partial int setfsuid(uint user);

    [LibraryImport("libc")]
    private static partial int setfsgid(uint group);

    [LibraryImport("libc")]
    private static partial uint geteuid();

    /// <summary>What a look at the database finds for somebody who has no rights but those of others.</summary>
    RecoveryException? LookAsNobody(string name)
    {
        RecoveryException? said = null;
        Exception? unexpected = null;
        var thread = new Thread(() =>
        {
            // Of this thread alone, which ends with it.
            _ = setfsgid(Nobody);
            _ = setfsuid(Nobody);
            try
            {
                MirrorOpening.RequireReadable(scratch.At(name), new ReplicatorOptions());
            }
            catch (RecoveryException e)
            {
                said = e;
            }
            catch (Exception e)
            {
                unexpected = e;
            }
        });
        thread.Start();
        thread.Join();
        Assert.Null(unexpected);
        return said;
    }

    void Mode(string name, int rights) => File.SetUnixFileMode(scratch.At(name), (UnixFileMode)rights);

    [Theory]
    [InlineData("wal", 0b110_000_000, 0b111_101_101)] // The file is its owner's only.
    [InlineData("delete", 0b110_000_000, 0b111_101_101)]
    [InlineData("wal", 0b110_100_100, 0b111_101_101)] // It may be read, and not written.
    [InlineData("wal", 0b110_110_110, 0b111_000_000)] // Its directory is its owner's only.
    [InlineData("delete", 0b110_110_110, 0b111_000_000)]
    public void A_database_that_this_user_may_not_use_is_said_to_be_and_nothing_is_made_beside_it(string mode,
        int ofFile, int ofDirectory)
    {
        if (geteuid() != 0) return; // Only root becomes nobody.
        Directory.CreateDirectory(scratch.At("data"));
        using (scratch.Open("data/app.db", $"PRAGMA journal_mode={mode}", "CREATE TABLE t(a)")) { }
        var before = Entries();
        Mode("", 0b111_101_101);
        Mode("data/app.db", ofFile);
        Mode("data", ofDirectory);
        var said = LookAsNobody("data/app.db");
        Assert.NotNull(said);
        Assert.Contains(scratch.At("data/app.db"), said.Message, StringComparison.Ordinal);
        Assert.Contains("this user", said.Message, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("There is no", said.Message, StringComparison.Ordinal);
        Assert.Equal(before, Entries());
    }

    string[] Entries() => [.. Directory.EnumerateFileSystemEntries(scratch.At("data")).Order()];

    /// <summary>Rollback modes need no right to write: readers only read there.</summary>
    [Fact]
    public void A_rollback_database_that_may_only_be_read_is_enough()
    {
        if (geteuid() != 0) return;
        Directory.CreateDirectory(scratch.At("data"));
        using (scratch.Open("data/app.db", "PRAGMA journal_mode=delete", "CREATE TABLE t(a)")) { }
        Mode("", 0b111_101_101);
        Mode("data/app.db", 0b110_100_100);
        Mode("data", 0b111_101_101);
        Assert.Null(LookAsNobody("data/app.db"));
    }

    /// <summary>No such file system can be mounted in a test: the mounts are given.</summary>
    [Theory]
    [InlineData("nfs4")]
    [InlineData("cifs")]
    [InlineData("9p")]
    [InlineData("fuse.sshfs")]
    public void What_lies_on_another_machines_disk_is_known_by_the_nearest_mount(string kind)
    {
        (string, string)[] mounts = [("/", "ext4"), ("/mnt", kind), ("/mnt/local", "ext4"), ("/mnt2", "xfs")];
        Assert.Equal(kind, MirrorOpening.ForeignKindOf("/mnt/app.db", mounts));
        Assert.Equal(kind, MirrorOpening.ForeignKindOf("/mnt/localized/app.db", mounts));
        Assert.Null(MirrorOpening.ForeignKindOf("/mnt/local/app.db", mounts));
        Assert.Null(MirrorOpening.ForeignKindOf("/mnt2/app.db", mounts));
        Assert.Null(MirrorOpening.ForeignKindOf("/app.db", mounts));
    }
}
