using System.Globalization;

namespace RecoveryVfs.Tests;

/// <summary>
/// What happens on a disk of which every byte is used: run by <see cref="SmallDisk"/>, in a process of its own, on a
/// disk of its own.
/// </summary>
public sealed class FullDisk
{
    const string Full = "!13";

    readonly string disk, uri;
    int acknowledged;

    FullDisk(string disk, string options)
        => (this.disk, uri) =
            (disk, $"file:{disk}/a.db?vfs=recovery&linger=0&max-local-log=16M&"
                + options.Replace("DISK", disk, StringComparison.Ordinal));

    public static int Run(string[] args)
    {
        var test = new FullDisk(args[1], args[0]);
        try
        {
            test.Killed_and_opened_without_room();
            test.Runs_out_of_room_and_goes_on();
            return 0;
        }
        catch (Exception e)
        {
            Console.Error.WriteLine(e);
            return 1;
        }
    }

    void Killed_and_opened_without_room()
    {
        using (var writer = new SqlShell())
        {
            Assert.Equal("ok", writer.Ask("open " + uri));
            Assert.Equal("", writer.Ask("CREATE TABLE t(id INTEGER PRIMARY KEY, pad BLOB)"));
            Insert(writer, 20);
            writer.Ask("PRAGMA recovery_checkpoint");
            Insert(writer, 20);
            writer.Kill();
        }
        Fill();
        for (var i = 0; i < 4; i++)
        {
            using var opener = new SqlShell();
            UseWithoutRoom(opener, i);
            opener.Finish();
        }
        Free();
        CheckAll();
    }

    /// <summary>Every kind of call; each may succeed or say that the disk is full, and none ends the process.</summary>
    void UseWithoutRoom(SqlShell shell, int round)
    {
        var opened = shell.Ask("open " + uri);
        Assert.True(opened is "ok" or Full, opened);
        if (opened != "ok") return;
        Assert.Equal(Text(acknowledged), shell.Ask("SELECT count(*) FROM t"));
        if (round == 1) shell.Ask("PRAGMA journal_mode=wal");
        InsertUntilFull(shell);
        Assert.Equal(Full, shell.Ask("PRAGMA recovery_checkpoint"));
        shell.Ask("PRAGMA recovery_sync=1");
        shell.Ask("PRAGMA recovery_compact");
        shell.Ask("PRAGMA wal_checkpoint(TRUNCATE)");
        Assert.Equal(Text(acknowledged), shell.Ask("SELECT count(*) FROM t"));
        if (round % 2 == 0) Assert.Equal("ok", shell.Ask("close"));
    }

    void Runs_out_of_room_and_goes_on()
    {
        using (var writer = new SqlShell())
        {
            Assert.Equal("ok", writer.Ask("open " + uri));
            for (var i = 0; i < 3; i++)
            {
                Insert(writer, 3);
                Fill();
                InsertUntilFull(writer);
                Assert.Equal(Full, writer.Ask("PRAGMA recovery_checkpoint"));
                writer.Ask("PRAGMA recovery_sync=1");
                writer.Ask("PRAGMA recovery_compact");
                Assert.Equal(Text(acknowledged), writer.Ask("SELECT count(*) FROM t"));
                Free();
                // It goes on by itself; only RocksDB, when it does not resume, asks to be closed, and says that nothing
                // is lost.
                Insert(writer, 3);
                Soon(writer, "PRAGMA recovery_checkpoint");
                Assert.Equal("", writer.Ask("DELETE FROM t"));
                acknowledged = 0;
                Soon(writer, "PRAGMA recovery_compact");
            }
            writer.Finish();
        }
        CheckAll();
    }

    /// <summary>
    /// What failed for lack of room may still be ending: then it says that the disk is full, a little longer. When
    /// RocksDB does not resume it asks to be closed, and says that nothing is lost.
    /// </summary>
    void Soon(SqlShell shell, string sql)
    {
        var end = Environment.TickCount64 + PatienceMs;
        while (shell.Ask(sql) is ['!', ..] answer)
        {
            var error = shell.Ask("PRAGMA recovery_last_error");
            Console.WriteLine($"{sql}: {answer} {error}");
            Assert.True(Environment.TickCount64 < end, error);
            if (answer == Full) continue;
            Assert.Contains("Close the store and open it again", error);
            Assert.Equal("ok", shell.Ask("close"));
            Assert.Equal("ok", shell.Ask("open " + uri));
        }
    }

    const int PatienceMs = 60_000;

    void CheckAll()
    {
        using var shell = new SqlShell();
        Assert.Equal("ok", shell.Ask("open " + uri));
        Assert.Equal(Text(acknowledged), shell.Ask("SELECT count(*) FROM t"));
        Assert.Equal("ok", shell.Ask("PRAGMA integrity_check"));
        Assert.Equal("ok", shell.Ask("PRAGMA recovery_verify=store"));
        Assert.DoesNotContain('!', shell.Ask("PRAGMA recovery_checkpoint"));
        shell.Finish();
    }

    void Insert(SqlShell shell, int count)
    {
        for (var i = 0; i < count; i++, acknowledged++)
        {
            var answer = shell.Ask(InsertRow);
            Assert.True(answer.Length == 0, $"{answer} {shell.Ask("PRAGMA recovery_last_error")}");
        }
    }

    const string InsertRow = "INSERT INTO t(pad) VALUES(randomblob(100000))";

    /// <summary>What the log has prepared is room for some.</summary>
    void InsertUntilFull(SqlShell shell)
    {
        for (var i = 0; ; i++)
        {
            var answer = shell.Ask(InsertRow);
            if (answer == Full) return;
            Assert.Equal("", answer);
            acknowledged++;
            Assert.True(i < 1000, "never full");
        }
    }

    /// <summary>To the last byte, and again, for what is being deleted meanwhile.</summary>
    void Fill()
    {
        using var filler =
            new FileStream(Path.Combine(disk, "filler"), FileMode.Append, FileAccess.Write, FileShare.ReadWrite,
            bufferSize: 0);
        foreach (var size in (int[])[1 << 20, 4096, 1])
            try
            {
                var bytes = new byte[size];
                while (true)
                {
                    filler.Write(bytes);
                    filler.Flush(flushToDisk: size > 1);
                }
            }
            catch (IOException)
            {
                // Full, for this size.
            }
    }

    void Free() => File.Delete(Path.Combine(disk, "filler"));

    static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
