using System.Diagnostics;
using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.PageStore.Stores;

namespace RecoveryVfs.Cli.Tests;

/// <summary>What happens to a file: one line of the table of damages.</summary>
public enum Damage
{
    Flip,
    Cut,
    Empty,
    Delete,
    Swap,
    Older,
}

/// <summary>
/// A store, its remote and a follower at two times, and copies of the later one with one file damaged. a.db has rows in
/// tables and blob files of RocksDB's, w.db and v.db some more in WALs that no checkpoint has taken over. The follower
/// is as a kill leaves it, with the later rows in its relay.
/// </summary>
public sealed class DamagedFiles : IDisposable
{
    readonly string root = Directory.CreateTempSubdirectory("recovery-damage-").FullName;
    int copies;

    public DamagedFiles()
    {
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
        var remote = "&remote=" + Uri.EscapeDataString("file://" + In("now/remote"));
        Directory.CreateDirectory(In("now/data"));
        Write(remote, 20);
        Follow(whileFollowing: () => { });
        // A second life has a second hints, a second segment of the log, and more of everything.
        Copy(In("now"), In("before"));
        Follow(whileFollowing: () => Write(remote, 30));
        Rows = 50;
        // Copies must not ship to the one remote of them all.
        foreach (var time in (string[])["before", "now"])
            File.WriteAllText(In(time + "/data/.recovery/config"), $"remote = none\n# {time}\n");
    }

    /// <summary>How many rows each database has.</summary>
    public long Rows { get; }

    /// <summary>The remote of them all, whole.</summary>
    public string Remote => "file://" + In("now/remote");

    string In(string name) => Path.Combine(root, name);

    void Write(string remote, int rows)
    {
        using (var a = Shipped.Open(In("now/data"), "a.db", remote))
        using (var w = Shipped.Open(In("now/data"), "w.db", remote))
        using (var v = Shipped.Open(In("now/data"), "v.db", remote))
        {
            foreach (var connection in (Microsoft.Data.Sqlite.SqliteConnection[])[a, w, v])
                Shipped.Execute(connection, "CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, v)");
            for (var i = 0; i < rows; i++) Shipped.Execute(a, "INSERT INTO t(v) VALUES (hex(randomblob(3000)))");
            Shipped.Execute(a, "PRAGMA recovery_checkpoint; PRAGMA recovery_sync=remote");
            foreach (var wal in (Microsoft.Data.Sqlite.SqliteConnection[])[w, v])
            {
                // The WAL stays when the last connection closes.
                Assert.Equal(0,
                    SQLitePCL.raw.sqlite3_db_config(wal.Handle, SQLitePCL.raw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1,
                    out _));
                Shipped.Execute(wal, "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0");
                for (var i = 0; i < rows; i++) Shipped.Execute(wal, "INSERT INTO t(v) VALUES (hex(randomblob(300)))");
                Shipped.Execute(wal, "PRAGMA recovery_sync=remote");
            }
        }
        Shipped.Close();
        Recover.Run("snapshot", $"pin-{rows}", "file://" + In("now/remote")).MustEndWith(0);
    }

    /// <summary>
    /// Lets a follower have everything that there is after something was done, and keeps what a kill would leave of it
    /// then.
    /// </summary>
    void Follow(Action whileFollowing)
    {
        var (live, kept) = (In("follower/.recovery"), In("now/replica/.recovery"));
        var follower =
            Follower.StartAsync(
            new FollowerOptions
            {
                Url = Remote,
                Store = new StoreOptions { Directory = live },
                SettleInterval = TimeSpan.FromHours(1)
            }).GetAwaiter().GetResult();
        try
        {
            follower.CaughtUpAsync().GetAwaiter().GetResult();
            whileFollowing();
            follower.CaughtUpAsync().GetAwaiter().GetResult();
            if (Directory.Exists(kept)) Directory.Delete(kept, recursive: true);
            // By another process, which minds nobody's locks.
            Directory.CreateDirectory(Path.GetDirectoryName(kept)!);
            using var copying = Process.Start("cp", ["-a", live, kept]);
            copying.WaitForExit();
            Assert.Equal(0, copying.ExitCode);
        }
        finally
        {
            follower.DisposeAsync().AsTask().GetAwaiter().GetResult();
        }
    }

    /// <summary>A copy with one file damaged; null when there is nothing to do the damage with.</summary>
    public (string Directory, string File)? Damaged(string pattern, Damage damage)
    {
        var (directory, name) = Path.GetDirectoryName(pattern) is { } d
            ? (d, Path.GetFileName(pattern))
            : ("", pattern);
        var files = Directory.GetFiles(Path.Combine(In("now"), directory), name)
            .Select(p => Path.GetRelativePath(In("now"), p)).Order(StringComparer.Ordinal).ToArray();
        if (files.Length == 0)
            throw new InvalidOperationException($"There is no {pattern} in the store that is to be damaged.");
        var file = files[^1];
        var copy = In($"copy-{Interlocked.Increment(ref copies)}");
        var bytes = File.ReadAllBytes(Path.Combine(In("now"), file));
        switch (damage)
        {
            case Damage.Flip:
                // In the middle of what is not zeros: a segment of the log is prewritten.
                var used = Array.FindLastIndex(bytes, b => b != 0) + 1;
                if (used == 0) return null;
                bytes[used / 2] ^= 4;
                break;
            case Damage.Cut:
                bytes = bytes[..(bytes.Length / 2)];
                break;
            case Damage.Empty:
                bytes = [];
                break;
            case Damage.Swap when files.Length == 1:
            case Damage.Older when !IsOlder(file, bytes):
                return null;
            case Damage.Older:
                bytes = File.ReadAllBytes(Path.Combine(In("before"), file));
                break;
        }
        Copy(In("now"), copy);
        var path = Path.Combine(copy, file);
        if (damage == Damage.Delete) File.Delete(path);
        else if (damage == Damage.Swap)
        {
            File.Copy(Path.Combine(In("now"), files[0]), path, overwrite: true);
            File.WriteAllBytes(Path.Combine(copy, files[0]), bytes);
        }
        else File.WriteAllBytes(path, bytes);
        return (copy, file);
    }

    bool IsOlder(string file, byte[] now) => File.Exists(Path.Combine(In("before"), file))
        && !File.ReadAllBytes(Path.Combine(In("before"), file)).AsSpan().SequenceEqual(now);

    /// <summary>A copy of both.</summary>
    static void Copy(string from, string to)
    {
        foreach (var file in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories))
        {
            var copy = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }
    }

    public void Dispose() => Directory.Delete(root, recursive: true);
}
