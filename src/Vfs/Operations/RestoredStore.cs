using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.Operations;

/// <summary>A database as it was found in restored pages.</summary>
internal sealed record RestoredDatabase(string Name, ulong Lsn, long SizeBytes, int PageSize, string JournalMode,
    string Checksum);

/// <summary>What is done with a store that was just restored, before anybody writes to it.</summary>
internal static class RestoredStore
{
    /// <summary>Carries out a plan, showing progress.</summary>
    public static async Task<RestoreResult> RestoreAsync(
        RestorePlan plan, string directory, int parallelism, StepBegun begin, CancellationToken cancellation)
    {
        using var progress = begin("restoring", plan.FetchBytes);
        try
        {
            return await StoreRestore.RestoreAsync(plan, new StoreOptions { Directory = directory }, parallelism,
                progress.Add, cancellation);
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.Full)
        {
            throw e.Within($"{e.Message} The whole restore takes about {Words.Bytes(plan.FetchBytes)} in {directory}.");
        }
    }

    /// <summary>
    /// Reads every page of every database and compares with the checksum that its writer logged; throws when they
    /// differ. The directory stays as the restore left it.
    /// </summary>
    public static IReadOnlyList<RestoredDatabase> Verify(string directory, StepBegun begin,
        CancellationToken cancellation)
    {
        using var replica = Replica.Open(new StoreOptions { Directory = directory });
        IReadOnlyList<string> problems;
        using (var progress = begin("reading pages", (long)replica.Databases.Sum(d => (double)d.Current.SizeBytes)))
            problems = replica.Verify(null, cancellation, progress.Add);
        if (problems.Count > 0)
            throw new RecoveryException(RecoveryError.Corrupt,
                $"What was restored does not verify: {string.Join("; ", problems)}.",
                "Restore an earlier state (--lsn, --timestamp).");
        var found = replica.Databases.Select(d => new RestoredDatabase(
            d.Name, d.Current.Lsn, d.Current.SizeBytes, d.Current.PageSize, d.Current.IsWal ? "wal" : "rollback",
                d.Current.Checksum.ToString("x16"))).ToList();
        using (begin("closing what was restored", 0)) replica.CloseAsStore();
        return found;
    }

    /// <summary>Goes on from a restored state with more records of the same log.</summary>
    public static void Apply(string directory, Action<RecordTaken> records)
    {
        using var replica = Replica.Open(new StoreOptions { Directory = directory });
        records((in Record record) =>
        {
            if (record.Lsn >= replica.NextLsn) replica.Apply(record);
        });
        replica.CloseAsStore();
    }
}
