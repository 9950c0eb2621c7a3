using RecoveryVfs.PageStore.Commits;
using RecoveryVfs.PageStore.Files;
using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.PageStore.Shipping;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Writing;

/// <summary>
/// Brings a writer's directory to the end of its log, as every opening does: after a clean close there is little to do,
/// after a crash everything that the log has beyond the files. What fails half-way is closed again.
/// </summary>
internal static class StoreRecovery
{
    /// <summary>What a replay leaves: everything that a writer is made of.</summary>
    internal sealed record Replayed(StoreCore Core, LocalLog Log, PlainReplay Plain, FileRecorder? Recorder);

    /// <summary>
    /// Brings a store to the end of its log. Files and databases start from the hints, pages from what the page store
    /// holds; each takes the records that come after.
    /// </summary>
    public static Replayed Run(StoreOptions options, RecoveryException? whyNotOwner)
    {
        var (core, recorder) = StoreOpening.OpenCore(options);
        try
        {
            return Replay(core, recorder, whyNotOwner);
        }
        catch
        {
            core.Dispose();
            throw;
        }
    }

    static Replayed Replay(StoreCore core, FileRecorder? recorder, RecoveryException? whyNotOwner)
    {
        var (options, home) = (core.Options, core.Home);
        home.ThrowUnlessOwn();
        home.DeleteRelay();
        // Its log would begin without a word to the remote.
        if (whyNotOwner is not null && !home.HasLog) throw whyNotOwner;
        var known = core.LoadHints();
        var (hints, createAt, epoch) = StoreTakeOver.Begin(options, known);
        if (hints is not null && !ReferenceEquals(hints, known))
        {
            (core.HintsLsn, core.ReplayFrom) = (hints.Lsn, hints.ReplayFrom);
            core.Live.Load(hints);
        }
        StoreTakeOver.RequireOwnLog(options, hints, createAt);
        var applied = core.Pages.Applied;
        using var plain = new PlainReplay(options.Disk, home.Files, hints);
        var log = ReplayLog(core, plain, StoreTakeOver.LogOf(options, hints, createAt, epoch,
            (in Record record) => core.Live.Apply(record)), StoreCore.FirstToReplay(hints, applied));
        try
        {
            plain.Verify(log, options.Alarm);
            home.NoteLogBegun();
            if (applied > log.LastLsn)
                throw new RecoveryException(RecoveryError.Corrupt,
                    $"The pages in {core.Directory} hold commits up to LSN {applied}, but the log ends at "
                        + $"{log.LastLsn}.",
                    "Files of different times were mixed; restore the store.")
                { Path = core.Directory, Lsn = log.LastLsn };
            return new Replayed(core, log, plain, recorder);
        }
        catch
        {
            log.Dispose();
            throw;
        }
    }

    /// <summary>Opens the log and takes what it has beyond the hints and the page store.</summary>
    static LocalLog ReplayLog(StoreCore core, PlainReplay plain, LogOptions logOptions, ulong from)
    {
        var (pending, hintsLsn) = (core.Pending, core.HintsLsn);
        using var applier = new PageApplier(core.Pages, pending);
        var replay = new StoreReplay(core, core.Pages.Applied, hintsLsn, MakeRoom);
        return LocalLog.Open(core.Options.Disk, core.Directory, logOptions, from, (in Record record) =>
        {
            if (record.Lsn > hintsLsn)
            {
                core.Live.Apply(record);
                plain.Take(record, core.Live);
            }
            if (record.Lsn > hintsLsn || record.Kind is RecordKind.PageCommit or RecordKind.DatabaseDeleted)
                replay.Take(record);
        });

        // What has gathered goes into the page store before the replay goes on; the log is durable as far as it is
        // replayed.
        void MakeRoom()
        {
            if (pending.Bytes < pending.BudgetBytes / 2) return;
            while (pending.Bytes > 0 && applier.ApplySome(static _ => { })) { }
        }
    }
}
