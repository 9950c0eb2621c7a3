using RecoveryVfs.Rows.Differences;

namespace RecoveryVfs.Rows;

/// <summary>What differs in one table between two versions.</summary>
public sealed class TableDifference
{
    readonly ComparedVersions versions;

    internal TableDifference(ComparedVersions versions, Table? before, Table? after)
    {
        (this.versions, Before, After) = (versions, before, after);
        var table = after ?? before!;
        KeyKind = table.KeyKind;
        if (table.Key.FirstOrDefault(k => !Values.Knows(k.Collation)) is { Collation: { } unknown })
        {
            if (!table.IsWithoutRowId) KeyKind = KeyKind.RowId;
            KeyNote = $"The collation '{unknown}' is not known here: rows are told apart by "
                + $"{(table.IsWithoutRowId ? "the bytes of their keys" : "their rowids")}.";
        }
        else if (HasKeyIndex(table) && !CanLookUp())
        {
            KeyKind = KeyKind.RowId;
            KeyNote = "The primary key's index is not there in both versions in the same encoding: rows are told "
                + "apart by their rowids.";
        }
        else if (KeyKind == KeyKind.RowId)
        {
            KeyNote = "The table has no primary key: rows are told apart by their rowids, which VACUUM may change.";
        }
    }

    /// <summary>The table before; null when it was created since.</summary>
    public Table? Before { get; }

    /// <summary>The table after; null when it was dropped.</summary>
    public Table? After { get; }

    /// <summary>By what rows are told apart.</summary>
    public KeyKind KeyKind { get; }

    /// <summary>Why rows are told apart by something else than the primary key; null when they are not.</summary>
    public string? KeyNote { get; }

    /// <summary>
    /// The rows that differ, read as they are asked for: as many are in memory as the caller keeps. A table that was
    /// dropped gives all its rows as deleted, a new one all as inserted. They come in the order of the table's tree.
    /// </summary>
    public IEnumerable<RowChange> Changes()
    {
        if (Before is null) return Whole(versions.After, After!).Select(r => new RowChange(ChangeKind.Insert, null, r));
        if (After is null) return Whole(versions.Before, Before).Select(r => new RowChange(ChangeKind.Delete, r, null));
        if (Before.IsWithoutRowId && KeyNote is not null)
            return new UnorderedDifference(versions, Before, After).Changes();
        if (versions.IsUntouched(Before, After)) return [];
        if (IsRenumbered) return [];
        var differing = new DifferingRows(versions, Before, After);
        return KeyKind == KeyKind.PrimaryKey && HasKeyIndex(After)
            ? new KeyedDifference(versions, Before, After, differing).Changes()
            : differing.Changes();
    }

    /// <summary>
    /// Whether VACUUM gave the same rows other rowids at most, which is no difference of rows. Who names rows by rowid
    /// later must know of it.
    /// </summary>
    public bool IsRenumbered => Before is not null && After is not null && KeyKind == KeyKind.RowId
        && versions.IsRewritten && OnlyRenumbered();

    static bool HasKeyIndex(Table table) => !table.IsWithoutRowId && table.RowIdColumn < 0 && table.Key.Length > 0;

    bool CanLookUp()
    {
        bool Has(Table? table, RowReader reader) => table is null || reader.Schema.IndexRoot(table.KeyIndexName) != 0;
        return Has(Before, versions.Before) && Has(After, versions.After)
            && (Before is null || After is null || Before.Encoding == After.Encoding);
    }

    static IEnumerable<Row> Whole(RowReader reader, Table table)
    {
        var cursor = reader.Read(table);
        while (cursor.Read()) yield return cursor.ToRow();
    }

    /// <summary>VACUUM numbers the rows of some tables anew, and keeps their order.</summary>
    bool OnlyRenumbered()
    {
        var columns = new ColumnMap(Before!, After!);
        using var before = Whole(versions.Before, Before!).GetEnumerator();
        using var after = Whole(versions.After, After!).GetEnumerator();
        while (true)
        {
            var more = before.MoveNext();
            if (after.MoveNext() != more) return false;
            if (!more) return true;
            if (!columns.SameValues(before.Current, after.Current)) return false;
        }
    }
}
