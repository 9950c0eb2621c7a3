using System.Diagnostics;
using System.Globalization;
using Microsoft.Data.Sqlite;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Read;
using Record = RecoveryVfs.RecoveryLog.Records.Record;

namespace RecoveryVfs.Replicate.Tests;

/// <summary>
/// Unmodified applications (Python, several processes), the replicator as a process of its own, and whatever happens to
/// them. At the end everything that was acknowledged is in the remote, and each commit there is a state that an
/// application committed.
/// </summary>
internal sealed class ReplicationRuns(string mode, Random random, string? url = null,
    IReadOnlyDictionary<string, string>? environment = null) : IDisposable
{
    readonly Scratch scratch = new();
    readonly List<Process> processes = [];

    string Path => scratch.At("app.db");

    string Url => url ?? "file://" + scratch.At("remote");

    public void Create()
    {
        using var connection =
            scratch.Open("app.db", $"PRAGMA page_size={(random.Next(2) == 0 ? 4096 : 1024)}",
            $"PRAGMA journal_mode={mode}",
            "CREATE TABLE state(seq, count, total)", "INSERT INTO state VALUES (0, 0, 0)",
            "CREATE TABLE log(n INTEGER PRIMARY KEY, x, b)", "CREATE INDEX byX ON log(x)");
    }

    Process Start(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program) { RedirectStandardError = true, RedirectStandardOutput = true };
        foreach (var each in arguments) start.ArgumentList.Add(each);
        start.Environment.Remove("RECOVERY_REMOTE");
        foreach (var (name, value) in environment ?? new Dictionary<string, string>()) start.Environment[name] = value;
        var process = Process.Start(start)!;
        process.OutputDataReceived += static (_, _) => { };
        process.BeginOutputReadLine();
        process.ErrorDataReceived += (_, e)
            =>
        { if (e.Data is not null) lock (errors) errors.Add($"{program} {process.Id}: {e.Data}"); };
        process.BeginErrorReadLine();
        processes.Add(process);
        return process;
    }

    readonly List<string> errors = [];

    string Said
    {
        get { lock (errors) return string.Join('\n', errors.TakeLast(60)); }
    }

    public Process Writer()
        => Start("python3", System.IO.Path.Combine(AppContext.BaseDirectory, "Writer.py"), Path,
            scratch.At($"acked-{processes.Count}"), random.Next().ToString(CultureInfo.InvariantCulture));

    /// <summary>Somebody who empties the WAL as fast as it can.</summary>
    public Process HostileCheckpointer() => Start("python3", "-c", $"""
        import sqlite3
        c = sqlite3.connect('{Path}', timeout=0.01)
        while True:
            try: c.execute('PRAGMA wal_checkpoint(TRUNCATE)').fetchall()
            except sqlite3.OperationalError: pass
        """);

    public Process Replicator(params string[] more) =>
        Start("dotnet",
            [System.IO.Path.Combine(AppContext.BaseDirectory, "recovery.dll"), "replicate", Path, Url, "-o",
            "sync-interval=100", .. more]);

    public void Kill(Process process)
    {
        process.Kill();
        process.WaitForExit();
    }

    /// <summary>What was acknowledged to anybody so far.</summary>
    public long Acknowledged => Directory.EnumerateFiles(scratch.Directory, "acked-*")
        .Select(f => File.ReadAllText(f).Split('\n'))
        .Select(lines => lines.Length < 2 ? 0 : long.Parse(lines[^2], CultureInfo.InvariantCulture)).DefaultIfEmpty()
        .Max();

    /// <summary>Waits until so much more was acknowledged.</summary>
    public void UntilAcknowledged(long more)
    {
        var wanted = Acknowledged + more;
        var started = Stopwatch.GetTimestamp();
        while (Acknowledged < wanted)
        {
            Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromMinutes(2),
                $"nothing is acknowledged any more\n{Said}");
            Thread.Sleep(10); // Other processes acknowledge, in files: there is nothing to wait on.
        }
    }

    /// <summary>
    /// Ships everything, with the applications still at it or not; what was acknowledged before must be in the remote
    /// then.
    /// </summary>
    public void Flush()
    {
        var acknowledged = Acknowledged;
        var once = Replicator("--once");
        Assert.True(once.WaitForExit(TimeSpan.FromMinutes(2)), $"--once does not end\n{Said}");
        Assert.True(once.ExitCode == 0, $"--once ended with {once.ExitCode}\n{Said}");
        Check(acknowledged);
    }

    /// <summary>
    /// Replays the remote from its beginning, and looks at the database after each commit; of thousands, as a loaded
    /// machine makes them while a process starts, at fewer and fewer, and at the last.
    /// </summary>
    public void Check(long acknowledged)
    {
        var (commits, newest) = CheckAsync().GetAwaiter().GetResult();
        Assert.True(newest >= acknowledged,
            $"{acknowledged} was acknowledged, and the remote ends with {newest} after {commits} commits\n{Said}");
    }

    async Task<(int Commits, long Newest)> CheckAsync()
    {
        await using var objects = RemoteUrl.Parse(Url).Open(readOnly: true);
        var plan = await RestorePlanner.PlanAsync(new RemoteContext { Store = objects }, RestoreTarget.Newest,
            hintsLsn: 0);
        var directory = scratch.At($"replayed-{processes.Count}");
        using var store =
            await StoreRestore.BeginAsync(plan, new StoreOptions { Directory = directory }, 1, static _ => { },
            default);
        var (commits, newest, last, stride) = (0, 0L, 0UL, 1);
        await plan.ReplayAsync((in Record record) =>
        {
            store.Apply(record);
            if (store.Find("app.db") is not { Current: { SizeBytes: > 0, Lsn: var lsn } } database || lsn == last)
                return;
            last = lsn;
            if (++commits % stride != 0) return;
            Look(database, lsn);
            if (!Seeds.Soaking && commits % (200 * stride) == 0) stride *= 2;
        }, static _ => { }, default);
        if (store.Find("app.db") is { Current.SizeBytes: > 0 } whole) Look(whole, last);
        return (commits, newest);

        void Look(Database database, ulong lsn)
        {
            var (seq, problem) = StateOf(database);
            Assert.True(problem is null, $"LSN {lsn}: {problem}\n{Said}");
            Assert.True(seq >= newest, $"LSN {lsn}: {seq} comes after {newest}\n{Said}");
            newest = seq;
        }
    }

    /// <summary>Whether a version is a state that an application committed: it proves itself.</summary>
    (long Seq, string? Problem) StateOf(Database database)
    {
        var path = scratch.At("state.db");
        PlainCopy.Write(database, path);
        try
        {
            using var connection = new SqliteConnection($"Data Source={path};Pooling=False");
            connection.Open();
            var found = connection.Text("SELECT group_concat(integrity_check, '; ') FROM pragma_integrity_check");
            if (found != "ok") return (0, found);
            var said = connection.Text("SELECT count || ' ' || total FROM state");
            var counted = connection.Text("SELECT count(*) || ' ' || coalesce(sum(x), 0) FROM log");
            return (long.Parse(connection.Text("SELECT seq FROM state"), CultureInfo.InvariantCulture),
                said == counted ? null : $"state says {said}, the rows are {counted}");
        }
        finally
        {
            foreach (var suffix in (string[])["", "-wal", "-shm"]) File.Delete(path + suffix);
        }
    }

    public void Dispose()
    {
        foreach (var process in processes)
        {
            if (!process.HasExited) process.Kill();
            process.WaitForExit();
            process.Dispose();
        }
        scratch.Dispose();
    }
}
