using System.Globalization;
using System.Text;
using RecoveryVfs.Rows.Sql;

namespace RecoveryVfs.Rows.Patches;

/// <summary>The statements for the rows of one table.</summary>
internal sealed class TablePatch(TableDifference of, bool isReferredTo, bool hasUniqueIndex, TextWriter output,
    Predicate<RowChange>? only)
{
    readonly StringBuilder text = new();

    public TableDifference Of => of;

    /// <summary>
    /// Values that are unique can change places, which updates one after the other cannot do; so such rows are deleted
    /// and inserted, unless others refer to them and would be deleted with them.
    /// </summary>
    bool UpdatesByInsert => !isReferredTo && (hasUniqueIndex || (of.After ?? of.Before!).HasOtherKeys);

    public bool HasChanges() => Changes().Any();

    public void WriteUpdatesAndDeletes()
    {
        if (of.Before is null || (of.After is null && only is null)) return; // A table that goes takes its rows along.
        foreach (var change in Changes())
        {
            if (change.Kind == ChangeKind.Delete || (change.Kind == ChangeKind.Update && UpdatesByInsert))
                WriteDelete(change.Before!);
            else if (change.Kind == ChangeKind.Update) WriteUpdate(change.Before!, change.After!);
        }
    }

    public void WriteInserts()
    {
        if (of.After is null) return;
        foreach (var change in Changes())
            if (change.Kind == ChangeKind.Insert || (change.Kind == ChangeKind.Update && UpdatesByInsert))
                WriteInsert(change.After!);
    }

    IEnumerable<RowChange> Changes() => only is null ? of.Changes() : of.Changes().Where(c => only(c));

    void WriteDelete(Row row)
    {
        text.Clear().Append("DELETE FROM ").Append(SqlText.Name(of.Before!.Name));
        AppendWhere(row);
        output.WriteLine(text.Append(';'));
    }

    void WriteUpdate(Row before, Row after)
    {
        text.Clear().Append("UPDATE ").Append(SqlText.Name(of.Before!.Name)).Append(" SET ");
        var any = false;
        for (var i = 0; i < after.Table.Columns.Count; i++)
        {
            if (after.Table.Columns[i].IsGenerated || after[i].Same(before[i])) continue;
            text.Append(any ? ", " : "").Append(SqlText.Name(after.Table.Columns[i].Name)).Append('=');
            SqlText.Append(text, after[i]);
            any = true;
        }
        AppendWhere(before);
        if (any) output.WriteLine(text.Append(';'));
    }

    void WriteInsert(Row row)
    {
        var columns = row.Table.Columns;
        text.Clear().Append("INSERT INTO ").Append(SqlText.Name(row.Table.Name)).Append('(');
        var stored = Enumerable.Range(0, columns.Count).Where(i => !columns[i].IsGenerated).ToList();
        var rowId = of.KeyKind == KeyKind.RowId && row.Table.RowIdColumn < 0 ? RowIdName(row.Table) : null;
        text.AppendJoin(',', stored.Select(i => SqlText.Name(columns[i].Name)).Concat(rowId is null ? [] : [rowId]))
            .Append(") VALUES(");
        for (var i = 0; i < stored.Count; i++)
        {
            if (i > 0) text.Append(',');
            SqlText.Append(text, row[stored[i]]);
        }
        if (rowId is not null) text.Append(CultureInfo.InvariantCulture, $",{row.RowId}");
        output.WriteLine(text.Append(");"));
    }

    void AppendWhere(Row row)
    {
        var table = row.Table;
        text.Append(" WHERE ");
        var byRowId = of.KeyKind == KeyKind.RowId
            || (row.RowId is not null && table.Key.Any(k => row[k.Column].IsNull));
        if (byRowId && RowIdName(table) is { } name)
        {
            text.Append(CultureInfo.InvariantCulture, $"{name}={row.RowId}");
            return;
        }
        for (var i = 0; i < table.Key.Length; i++)
        {
            text.Append(i > 0 ? " AND " : "").Append(SqlText.Name(table.Columns[table.Key[i].Column].Name)).Append('=');
            SqlText.Append(text, row[table.Key[i].Column]);
            // The key's own collation, where it is not the column's.
            if (table.Key[i].Collation != table.Columns[table.Key[i].Column].Collation)
                text.Append(" COLLATE ").Append(SqlText.Name(table.Key[i].Collation));
        }
    }

    /// <summary>A name of the rowid that no column has.</summary>
    static string? RowIdName(Table table)
    {
        if (table.RowIdColumn >= 0) return SqlText.Name(table.Columns[table.RowIdColumn].Name);
        return Array.Find(["rowid", "_rowid_", "oid"], n => table.IndexOf(n) < 0) ??
            throw new NotSupportedException(
                $"Table '{table}' has columns called rowid, _rowid_ and oid, so SQL cannot name its rows.");
    }
}
