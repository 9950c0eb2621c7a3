using System.Diagnostics;
using RecoveryVfs.Interop;
using RecoveryVfs.Opening;
using RecoveryVfs.Operations;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.Settings;
using RecoveryVfs.Statements;

namespace RecoveryVfs.Cli.Sql;

/// <summary>
/// Where statements run: here, for reading or because nobody else has the store open, or in the process that has.
/// </summary>
internal sealed class SqlPlace : IDisposable
{
    const int BusyPatienceMs = 5000;

    /// <summary>A process that is opening the store just now will listen in a moment.</summary>
    static readonly TimeSpan ListenPatience = TimeSpan.FromSeconds(2), LookInterval = TimeSpan.FromMilliseconds(50);

    readonly HostConnection? here;
    readonly SqlClient? there;
    readonly TimeSpan limit;

    SqlPlace(HostConnection? here, SqlClient? there, TimeSpan limit)
        => (this.here, this.there, this.limit) = (here, there, limit);

    /// <summary>Who runs them, for people.</summary>
    public string Name => there?.Server ?? "here";

    public bool IsInTransaction => here?.IsInTransaction ?? there!.IsInTransaction;

    public static SqlPlace Open(string database, bool write, TimeSpan limit)
    {
        var path = Path.GetFullPath(database);
        var stub = Stub.Read(path);
        if (stub.Content == PathContent.PlainDatabase)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{path} is a plain SQLite database: use `sqlite3 {path}`, or `recovery import {path}`.")
            {
                Path = path
            };
        if (stub.Content != PathContent.Stub)
            throw new RecoveryException(RecoveryError.NotFound,
                $"There is no RecoveryVfs database at {path}.")
            { Path = path };
        var store = StoreDirectory.Find(DatabaseOpening.StoreOf(path, stub, new RecoveryOptions().WithEnvironment()));
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
        if (!write) return new SqlPlace(Here(path, store.Path, write: false), null, limit);
        // Whoever opens a store listens a moment later, and whoever closes it holds it a moment longer: nothing tells
        // another process when.
        for (var started = Stopwatch.GetTimestamp(); ; Thread.Sleep(LookInterval))
        {
            if (SqlClient.TryConnect(store.Path, stub.Database!, limit) is { } client)
                return new SqlPlace(null, client, limit);
            if (store.Holder() is not { } holder) return new SqlPlace(Here(path, store.Path, write: true), null, limit);
            if (Stopwatch.GetElapsedTime(started) < ListenPatience) continue;
            throw new RecoveryException(RecoveryError.Busy,
                $"The store {store.Path} is open in {holder}, which takes no statements from others (sql-socket=off, "
                    + "a SQLite without threads, or an older version).",
                "End that process first, or have it open the store with sql-socket=on. Reading (without --write) works "
                    + "beside it.")
            { Path = store.Path };
        }
    }

    static HostConnection Here(string path, string store, bool write)
    {
        using var ours = StoreSettings.TakeOwnUris();
        return HostConnection.Open(
            $"{DatabasePath.UriOf(path)}?store={Uri.EscapeDataString(store)}{(write ? "" : "&mode=ro")}", write,
            BusyPatienceMs);
    }

    /// <summary>
    /// Runs statements; throws <see cref="SqlFailure"/> with what SQLite says of the first that fails.
    /// </summary>
    public void Run(string sql, ISqlResults results, CancellationToken cancellation)
    {
        if (there is not null)
        {
            there.Run(sql, results);
            return;
        }
        var until = Environment.TickCount64 + (long)limit.TotalMilliseconds;
        here!.MustStop = () => cancellation.IsCancellationRequested || Environment.TickCount64 > until;
        here.Run(sql, results);
    }

    public void Dispose()
    {
        here?.Dispose();
        there?.Dispose();
        if (here is not null) Recovery.CloseIdleStores();
    }
}
