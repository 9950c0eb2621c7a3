namespace RecoveryVfs.Names;

/// <summary>What the host's SQLite gets wrong by itself, where nothing can be done about it but saying so.</summary>
internal static class OldSqlite
{
    /// <summary>
    /// The first one that forgets, after ROLLBACK TO, which frames of the WAL it meant to give new checksums (found in
    /// its source: 3.49.2 does not yet, 3.50.2 does).
    /// </summary>
    const int KeepsWalAfterRollbackTo = 3_050_002;

    static int warned;

    /// <summary>
    /// Says once in SQLite's error log that commits in WAL mode may be lost, if this is such a SQLite.
    /// </summary>
    public static void WarnOfWal()
    {
        if (HostSqlite.Version >= KeepsWalAfterRollbackTo || Interlocked.Exchange(ref warned, 1) != 0) return;
        // A notice: programs that count what SQLite logs as errors (its own mptester) do not count those.
        HostSqlite.Log(Sqlite.Notice,
            $"SQLite {HostSqlite.VersionText} itself loses commits in WAL mode when a transaction outgrows the page "
                + "cache, undoes a part with ROLLBACK TO, commits, " +
            "and the process is then killed. Use SQLite 3.50.2 or newer, a larger cache_size, or another journal "
                + "mode.");
    }
}
