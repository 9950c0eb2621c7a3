using System.Buffers.Binary;
using System.Diagnostics;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.Replicate.Wals;
using RecoveryVfs.Testing;

namespace RecoveryVfs.Replicate.Tests;

/// <summary>
/// Who may write beside a database is not its replicator: nothing there is waited for, has files deleted elsewhere, or
/// is believed to be larger than it can be.
/// </summary>
public sealed class HostileFilesTests
{
    const string Table = "CREATE TABLE t(a INTEGER PRIMARY KEY, b)", Insert = "INSERT INTO t(b) VALUES (1)";

    /// <summary>Looks, and does not wait for ever.</summary>
    static RecoveryException? Look(MirrorSite site)
    {
        var look = Task.Run(() =>
        {
            try
            {
                site.Watched.Look();
                return null;
            }
            catch (RecoveryException e)
            {
                return e;
            }
        });
        Assert.True(look.Wait(TimeSpan.FromMinutes(2)), "the look does not end");
        return look.Result;
    }

    [Theory]
    [InlineData("delete", "-journal")]
    [InlineData("wal", "-wal")]
    [InlineData("wal", "-shm")]
    public void A_pipe_beside_a_database_is_not_waited_for(string mode, string suffix)
    {
        using var site = new MirrorSite();
        using (site.Open($"PRAGMA journal_mode={mode}", Table, Insert)) site.LookAndCompare();
        site.Restart();
        var path = site.Scratch.At("app.db" + suffix);
        File.Delete(path);
        using (var made = Process.Start("mkfifo", [path])) made.WaitForExit();
        Assert.Contains(path, Look(site)!.Message);
        var opening = Task.Run(() => MirrorOpening.RequireReadable(site.Scratch.At("app.db"), new()));
        Assert.Contains(path, Assert.Throws<AggregateException>(() => opening.Wait(TimeSpan.FromMinutes(2))).Message);
        File.Delete(path);
        site.LookAndCompare();
    }

    /// <summary>
    /// SQLite deletes what a journal calls its super-journal, when nothing that this names is there.
    /// </summary>
    [Theory]
    [InlineData("precious")]
    [InlineData("other.db-journal")]
    [InlineData("other.db-mj0000009AB")]
    public void A_journal_has_nothing_deleted_elsewhere(string name)
    {
        using var site = new MirrorSite();
        using (site.Open(Table, Insert)) site.LookAndCompare();
        var victim = site.Scratch.At(name);
        File.WriteAllText(victim, "precious\0");
        var before = File.ReadAllBytes(site.Scratch.At("app.db"));
        File.WriteAllBytes(site.Scratch.At("app.db-journal"), HotJournal.Of(before.Length, victim));
        Look(site);
        Assert.Equal("precious\0", File.ReadAllText(victim));
        // The journal itself is dealt with, and all goes on.
        site.LookUntilInStep();
        site.LookAndCompare();
        Assert.False(File.Exists(site.Scratch.At("app.db-journal")));
        Assert.Equal(before, File.ReadAllBytes(site.Scratch.At("app.db")));
    }

    /// <summary>
    /// One frame says how many pages there are. Those that neither it nor the file has would be made of zeros.
    /// </summary>
    [Theory]
    [InlineData(0xFFFFFFFEu)]
    [InlineData(10_000_000u)]
    public void A_WAL_that_claims_more_pages_than_it_can_is_damaged_and_what_the_mirror_has_stays(uint pages)
    {
        using var site = new MirrorSite();
        using (site.Open(Table, Insert)) site.LookAndCompare();
        var before = site.Bytes();
        site.Watched.Dispose();
        Claim(site.Scratch.At("app.db"), pages);
        site.Restart();
        Assert.Equal(RecoveryError.Corrupt, Look(site)!.Error);
        Assert.NotNull(site.Watched.Gap);
        Assert.Equal(before, site.Bytes());
    }

    /// <summary>A WAL of one frame, the first page, which says that the database has so many.</summary>
    static void Claim(string path, uint pages)
    {
        const int Page = 4096;
        var first = File.ReadAllBytes(path)[..Page];
        (first[18], first[19]) = (2, 2);
        File.WriteAllBytes(path, [.. first, .. File.ReadAllBytes(path)[Page..]]);
        BinaryPrimitives.WriteUInt32BigEndian(first.AsSpan(28), pages);
        first.AsSpan(24, 4).CopyTo(first.AsSpan(92));
        var wal = new byte[WalHeader.SizeBytes + WalFrame.HeaderBytes + Page];
        BinaryPrimitives.WriteUInt32BigEndian(wal, 0x377f0683);
        BinaryPrimitives.WriteUInt32BigEndian(wal.AsSpan(4), 3_007_000);
        BinaryPrimitives.WriteInt32BigEndian(wal.AsSpan(8), Page);
        BinaryPrimitives.WriteUInt32BigEndian(wal.AsSpan(16), 17);
        BinaryPrimitives.WriteUInt32BigEndian(wal.AsSpan(20), 4711);
        var sum = default(WalChecksum).Then(wal.AsSpan(0, 24), bigEndian: true);
        void Put(int at)
        {
            BinaryPrimitives.WriteUInt32BigEndian(wal.AsSpan(at), sum.First);
            BinaryPrimitives.WriteUInt32BigEndian(wal.AsSpan(at + 4), sum.Second);
        }
        Put(24);
        var frame = wal.AsSpan(WalHeader.SizeBytes);
        BinaryPrimitives.WriteUInt32BigEndian(frame, 1);
        BinaryPrimitives.WriteUInt32BigEndian(frame[4..], pages);
        wal.AsSpan(16, 8).CopyTo(frame[8..]);
        first.CopyTo(frame[WalFrame.HeaderBytes..]);
        sum = sum.Then(frame[..8], bigEndian: true).Then(first, bigEndian: true);
        Put(WalHeader.SizeBytes + 16);
        File.WriteAllBytes(path + "-wal", wal);
    }
}
