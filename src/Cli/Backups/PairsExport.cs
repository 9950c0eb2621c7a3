using RecoveryVfs.Changes.Pairs;
using RecoveryVfs.Operations;
using RecoveryVfs.PageStore.Directories;
using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.Cli.Backups;

/// <summary>Which pairs of a RocksDB are exported; null is no bound.</summary>
internal sealed record PairsWanted(string? Family, string? From, string? To, string? Slots)
{
    const string Hexadecimal = "hex:";

    public bool IsAll => this is { Family: null, From: null, To: null, Slots: null };

    public byte[]? FirstKey => Key(From, "--from");

    public byte[]? EndKey => Key(To, "--to");

    public HashSlots? HashSlots => Slots is null ? null
        : PageStore.Directories.HashSlots.TryParse(Slots, out var slots) ? slots
        : throw new RecoveryException(RecoveryError.Invalid,
            $"'{Slots}' are no slots.", "Give the first and the last, and how many there are: 0-5460/16384.");

    /// <summary>A key as people write it: text, or <c>hex:</c> and its bytes.</summary>
    static byte[]? Key(string? text, string option)
    {
        if (text is null || !text.StartsWith(Hexadecimal, StringComparison.Ordinal))
            return text is null ? null : System.Text.Encoding.UTF8.GetBytes(text);
        try
        {
            return Convert.FromHexString(text.AsSpan(Hexadecimal.Length));
        }
        catch (FormatException e)
        {
            throw new RecoveryException(RecoveryError.Invalid,
                $"{option} {text}: after '{Hexadecimal}' an even number of hexadecimal digits follows.", e);
        }
    }
}

/// <summary>Writes the pairs of a RocksDB as JSON lines, as one moment shows them.</summary>
internal sealed class PairsExport(PairsWanted wanted, CancellationToken cancellation)
{
    const int PairsBetweenLooks = 1024;

    /// <summary>Of a directory, recorded or not, in use or not.</summary>
    public PairsEnd WriteLocal(string directory, Stream output)
    {
        var header = new PairsHeader { Kind = PairsHeader.Full };
        if (Directory.Exists(StoreDirectory.Within(directory))
            && StoreDirectory.Find(directory) is { IsOfRocksDb: true } store)
        {
            var (hints, end) = store.ReadLog(static _ => { }, static (in Record _) => { });
            header = header with { Log = end?.LogId ?? hints?.LogId, Lsn = end?.LastLsn ?? hints?.Lsn };
        }
        using var pairs = RocksPairs.OpenForReading(directory);
        return Write(pairs, header, output);
    }

    /// <summary>Of a remote: the state is restored aside, and tried there, first.</summary>
    public async Task<PairsEnd> WriteRemoteAsync(RemoteAccess remote, RestoreTarget at, string aside, Stream output,
        Output to)
    {
        var plan = await RestorePlanner.PlanAsync(remote.Context, at, null, cancellation);
        await using var pin = await remote.PinAsync(plan, to.Note, cancellation);
        DirectoryState state;
        using (var progress = new Progress("restoring", plan.FetchBytes))
            state = await DirectoryRestore.FilesAsync(plan, aside, 8, progress.Add, cancellation);
        if (state.Note is { } note) to.Note(note);
        RocksTrial.RunAny(aside, cancellation);
        using var pairs = RocksPairs.OpenForReading(aside);
        return Write(pairs, new PairsHeader
        {
            Kind = PairsHeader.Full,
            Log = plan.Store.LogId,
            Lsn = state.Hints.Lsn,
        }, output);
    }

    PairsEnd Write(RocksPairs pairs, PairsHeader header, Stream output)
    {
        if (wanted.Family is { } named && !pairs.Families.Contains(named))
            throw new RecoveryException(RecoveryError.NotFound,
                $"There is no column family {named}; there are: {Text.Some([.. pairs.Families])}.");
        var families = pairs.Families.Where(f => wanted.Family is null || f == wanted.Family).ToList();
        var (from, to, slots) = (wanted.FirstKey, wanted.EndKey, wanted.HashSlots);
        using var writer = new PairsWriter(output, header with
        {
            Kind = wanted.IsAll ? PairsHeader.Full : PairsHeader.Part,
            Sequence = pairs.Sequence,
            Time = DateTimeOffset.UtcNow,
            Families = families,
            From = wanted.From,
            To = wanted.To,
            Slots = slots?.ToString(),
        });
        using var progress = new Progress("writing pairs");
        var seen = 0L;
        foreach (var family in families)
        {
            writer.Begin(family);
            pairs.Scan(pairs.Families.ToList().IndexOf(family), from, to, (key, value) =>
            {
                if (++seen % PairsBetweenLooks == 0) cancellation.ThrowIfCancellationRequested();
                if (slots?.Has(key) ?? true) writer.Write(key, value);
                return true;
            });
        }
        return writer.End();
    }
}
