using System.Text;
using Microsoft.Data.Sqlite;
using RecoveryVfs.Memory;
using RecoveryVfs.Opening;

namespace RecoveryVfs.Tests;

/// <summary>
/// SQLite up to 3.51.2 loses commits when a WAL begins anew between a checkpoint's reading of the index's header and
/// its work. The moment is too short to be hit from outside of SQLite, so the tests hold the locks that SQLite holds
/// then. ProviderTests run the first one on 3.40.1 too.
/// </summary>
public sealed class WalBeginningTests
{
    const int CheckpointSlot = 1, FirstWalReaderSlot = 4, WalReaderSlots = 4;

    [Fact]
    public void A_WAL_does_not_begin_anew_while_another_connection_checkpoints_it()
    {
        using var store = new TestStore();
        A_WAL_goes_on_while_another_connection_checkpoints(store.Open(), store.PathOf("a.db"));
    }

    internal static void A_WAL_goes_on_while_another_connection_checkpoints(SqliteConnection db, string path)
    {
        db.Do("PRAGMA journal_mode=wal; PRAGMA wal_autocheckpoint=0; CREATE TABLE w(x); INSERT INTO w VALUES "
            + "(randomblob(40000))");
        var frames = FramesAllCopied(db);
        Assert.True(frames > 10);

        // As a checkpoint that has just read the index's header.
        var memory = OpenDatabases.Find(Encoding.UTF8.GetBytes(path))!.SharedMemory!;
        uint shared = 0, exclusive = 0;
        Assert.Equal(Sqlite.Ok,
            memory.Lock(CheckpointSlot, 1, Sqlite.ShmLock | Sqlite.ShmExclusive, ref shared, ref exclusive));
        db.Do("INSERT INTO w VALUES (1)");
        Assert.Equal(Sqlite.Ok,
            memory.Lock(CheckpointSlot, 1, Sqlite.ShmUnlock | Sqlite.ShmExclusive, ref shared, ref exclusive));

        var more = FramesAllCopied(db);
        Assert.True(more > frames, $"The WAL of {frames} frames began anew under a checkpoint: it has {more}.");
        db.Do("INSERT INTO w VALUES (2)");
        var anew = FramesAllCopied(db);
        Assert.True(anew < frames,
            $"The WAL of {more} frames should begin anew when nobody checkpoints: it has {anew}.");
    }

    /// <summary>SQLite opens the WAL for journal_mode, is refused, and has not read it when it checkpoints.</summary>
    [Fact]
    public void After_a_journal_mode_that_was_refused_a_checkpoint_is_busy_until_the_WAL_was_read()
    {
        using var store = new TestStore();
        var (first, other) = (store.Open(timeoutSeconds: 1), store.Open(timeoutSeconds: 1));
        first.Do("CREATE TABLE w(x); INSERT INTO w VALUES (1)");
        Assert.Equal("1", other.Do("SELECT count(*) FROM w"));
        first.Do("PRAGMA journal_mode=wal");
        other.Do("BEGIN IMMEDIATE");
        Assert.Equal("!5", first.Try("PRAGMA busy_timeout=0; PRAGMA journal_mode=truncate"));
        Assert.Equal("1 -1 -1", first.Do("PRAGMA wal_checkpoint(PASSIVE)"));
        other.Do("INSERT INTO w VALUES (2); COMMIT");
        Assert.Equal("2 ok", first.Do("SELECT count(*) FROM w; PRAGMA integrity_check"));
        Assert.StartsWith("0 ", first.Do("PRAGMA wal_checkpoint(PASSIVE)"));
        other.Dispose();
        Assert.Equal("truncate", first.Do("PRAGMA journal_mode=truncate"));
    }

    [Fact]
    public async Task A_checkpoint_waits_until_a_WAL_has_begun_anew()
    {
        var memory = new SharedMemory();
        uint shared = 0, writer = 0;
        Assert.Equal(Sqlite.Ok,
            memory.Lock(FirstWalReaderSlot, WalReaderSlots, Sqlite.ShmLock | Sqlite.ShmExclusive, ref shared,
            ref writer));
        var begun = false;
        var checkpoint = Task.Run(() =>
        {
            uint own = 0, ownExclusive = 0;
            var code = memory.Lock(CheckpointSlot, 1, Sqlite.ShmLock | Sqlite.ShmExclusive, ref own, ref ownExclusive);
            return (code, Volatile.Read(ref begun));
        });
        // It may not have started by then; it must not have got through.
        await Task.WhenAny(checkpoint, Task.Delay(100));
        Volatile.Write(ref begun, true);
        memory.Lock(FirstWalReaderSlot, WalReaderSlots, Sqlite.ShmUnlock | Sqlite.ShmExclusive, ref shared, ref writer);
        Assert.Equal((Sqlite.Ok, true), await checkpoint);
    }

    [Fact]
    public void One_who_checkpoints_may_begin_the_WAL_anew()
    {
        var memory = new SharedMemory();
        uint shared = 0, exclusive = 0;
        Assert.Equal(Sqlite.Ok,
            memory.Lock(CheckpointSlot, 1, Sqlite.ShmLock | Sqlite.ShmExclusive, ref shared, ref exclusive));
        Assert.Equal(Sqlite.Ok,
            memory.Lock(FirstWalReaderSlot, WalReaderSlots, Sqlite.ShmLock | Sqlite.ShmExclusive, ref shared,
            ref exclusive));
    }

    /// <summary>How many frames the WAL has, after all of them were copied into the database.</summary>
    static int FramesAllCopied(SqliteConnection db)
    {
        var answer = db.Do("PRAGMA wal_checkpoint").Split(' ');
        Assert.Equal("0", answer[0]);
        Assert.Equal(answer[1], answer[2]);
        return int.Parse(answer[1]);
    }
}
