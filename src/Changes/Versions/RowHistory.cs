using System.Runtime.CompilerServices;
using RecoveryVfs.PageStore.Past;
using RecoveryVfs.PageStore.Tails;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.Rows;

namespace RecoveryVfs.Changes.Versions;

/// <summary>What a row was from one commit on.</summary>
/// <param name="Lsn">The commit.</param>
/// <param name="Time">When it was committed, by the writer's clock.</param>
/// <param name="Row">The row; null when it is not there from here on.</param>
/// <param name="IsFirst">Whether this is how it was at the oldest moment that was looked at, and not a change.</param>
internal sealed record RowVersion(ulong Lsn, DateTimeOffset Time, Row? Row, bool IsFirst);

/// <summary>
/// Every version of one row, commit by commit. A commit that did not write to the database costs nothing.
/// </summary>
internal sealed class RowHistory(PastSource source, string database, string table, string key)
{
    /// <summary>How the past is looked at.</summary>
    public PastOptions Options { get; init; } = new();

    /// <summary>
    /// The versions between two moments, oldest first; without a first one, from the oldest that the remote has.
    /// </summary>
    public async IAsyncEnumerable<RowVersion> ReadAsync(
        RestoreTarget? from, RestoreTarget to, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        await using var store =
            await source.OpenAsync(from ?? await source.OldestAsync(cancellation), Options, cancellation);
        var (seenDatabase, seenTable) = (false, false);
        Row? last = null;
        var isFirst = true;
        while (true)
        {
            var (found, row) = Look(store, ref seenTable);
            seenDatabase |= found;
            if (isFirst ? row is not null : !Same(last, row))
                yield return new RowVersion(store.Lsn, store.Time, row, isFirst && from is not null);
            (last, isFirst) = (row, false);
            if (!await NextAsync(store, to, cancellation)) break;
        }
        if (!seenDatabase) throw MomentDifference.Unknown(database, store.Databases, source.Location);
        if (!seenTable)
            throw new RecoveryException(RecoveryError.NotFound, $"The database {database} had no table {table} then.");
    }

    /// <summary>Goes on to the next commit that may have changed the row.</summary>
    async ValueTask<bool> NextAsync(PastStore store, RestoreTarget to, CancellationToken cancellation)
    {
        while (await store.NextAsync(to, wait: false, cancellation) is { Count: > 0 } commits)
            if (commits.Any(c => c.Kind != TailedKind.Checkpoint
                && (c.Database == database || c.EarlierName == database)))
                return true;
        return false;
    }

    (bool Found, Row? Row) Look(PastStore store, ref bool seenTable)
    {
        using var version = store.Pin(database);
        if (version is null) return (false, null);
        var reader = new RowReader(new VersionPages(version));
        if (!reader.Schema.TryGetTable(table, out var now)) return (true, null);
        seenTable = true;
        try
        {
            return (true, reader.Find(now, KeyText.Parse(now, key)));
        }
        catch (NotSupportedException e)
        {
            throw new RecoveryException(RecoveryError.Invalid, e.Message, e);
        }
    }

    static bool Same(Row? before, Row? after)
    {
        if (before is null || after is null) return before is null == after is null;
        if (before.Table.Columns.Count != after.Table.Columns.Count) return false;
        for (var i = 0; i < after.Table.Columns.Count; i++)
            if (!after[i].Same(before[i])) return false;
        return true;
    }
}
