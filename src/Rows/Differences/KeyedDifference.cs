using RecoveryVfs.Rows.Format;

namespace RecoveryVfs.Rows.Differences;

/// <summary>
/// Differences of a table that has both rowids and a primary key, by the primary key. The rows that differ come by
/// rowid; for each key that they had or have, the key's index tells where the other version has it. That costs a few
/// pages for a row that differs, and no memory.
/// </summary>
internal sealed class KeyedDifference(ComparedVersions versions, Table before, Table after, DifferingRows differing)
{
    readonly TreeSeek seekBefore = SeekOf(versions.Before), seekAfter = SeekOf(versions.After);
    readonly uint indexBefore = versions.Before.Schema.IndexRoot(before.KeyIndexName),
        indexAfter = versions.After.Schema.IndexRoot(after.KeyIndexName);

    static TreeSeek SeekOf(RowReader reader) => new(reader.Pages, reader.MostRowBytes);

    public IEnumerable<RowChange> Changes()
    {
        foreach (var change in differing.Changes())
        {
            var (was, row) = (change.Before, change.After);
            if (was is not null && row is not null && SameKey(was, row))
            {
                yield return change;
                continue;
            }
            var keyUpdate = was is not null && row is not null;
            if (was is not null && OfBefore(was, keyUpdate) is { } first) yield return first;
            // A row that had this key before, under another rowid, differs there, and is told of there.
            if (row is not null && Counterpart(seekBefore, before, indexBefore, row) is null)
                yield return new RowChange(ChangeKind.Insert, null, row) { IsKeyUpdate = keyUpdate };
        }
        seekBefore.Release();
        seekAfter.Release();
    }

    RowChange? OfBefore(Row was, bool keyUpdate)
    {
        if (Counterpart(seekAfter, after, indexAfter, was) is not { } now)
            return new RowChange(ChangeKind.Delete, was, null) { IsKeyUpdate = keyUpdate };
        return differing.Columns.SameValues(was, now) ? null : new RowChange(ChangeKind.Update, was, now);
    }

    /// <summary>
    /// The row of the other version that has the key of <paramref name="row"/>. A key with a NULL in it is no row's.
    /// </summary>
    static Row? Counterpart(TreeSeek seek, Table table, uint index, Row row)
    {
        foreach (var key in row.Table.Key)
            if (row[key.Column].IsNull) return null;
        return seek.ByKey(table, index, row) is { } rowId ? seek.ByRowId(table, rowId) : null;
    }

    bool SameKey(Row was, Row row)
    {
        for (var i = 0; i < after.Key.Length; i++)
            if (Values.Compare(was[before.Key[i].Column], row[after.Key[i].Column], after.Key[i].Collation) != 0)
                return false;
        return true;
    }
}
