namespace RecoveryVfs.Rows.Tests;

/// <summary>
/// Whether changes are the difference of two lists of rows: what they say was there was, what they say is there is,
/// taken together they lead from one to the other, and nothing is said that is not so.
/// </summary>
internal static class DifferenceCheck
{
    public static void Check(TableDifference table, List<RowChange> changes, bool rewritten, Model before, Model after)
    {
        var was = table.Before is null ? [] : before.Tables[table.Before.Name].Rows;
        var now = table.After is null ? [] : after.Tables[table.After.Name].Rows;
        var rowsBefore = was.Select(r => r.ToString()).ToHashSet();
        var rowsAfter = now.Select(r => r.ToString()).ToHashSet();
        foreach (var change in changes)
        {
            Assert.Equal(change.Kind != ChangeKind.Insert, change.Before is not null);
            Assert.Equal(change.Kind != ChangeKind.Delete, change.After is not null);
            if (change.Before is not null) Assert.Contains(ModelRow.Of(change.Before).ToString(), rowsBefore);
            if (change.After is not null) Assert.Contains(ModelRow.Of(change.After).ToString(), rowsAfter);
        }
        if (table.Before is null || table.After is null)
        {
            Assert.Equal(was.Count + now.Count, changes.Count);
            return;
        }
        CheckByKey(table, changes, rewritten, was, now);
    }

    static void CheckByKey(TableDifference table, List<RowChange> changes, bool rewritten, List<ModelRow> was,
        List<ModelRow> now)
    {
        Func<Row, string> keyOf = row => KeyOf(table.KeyKind, row);
        // A key occurs once among deletes and once among inserts, and an update is of one key.
        Assert.Distinct(changes.Where(c => c.Before is not null).Select(c => keyOf(c.Before!)));
        Assert.Distinct(changes.Where(c => c.After is not null).Select(c => keyOf(c.After!)));
        foreach (var change in changes.Where(c => c.Kind == ChangeKind.Update))
            Assert.True(Same(table, change.Before!, change.After!), $"The key of an update changed: {change}");
        var gone = changes.Where(c => c.Kind == ChangeKind.Delete).Select(c => keyOf(c.Before!)).ToHashSet();
        foreach (var insert in changes.Where(c => c.Kind == ChangeKind.Insert))
            Assert.DoesNotContain(keyOf(insert.After!), gone);

        // The rows before, less those that changed, plus what they became, in terms of the later columns, are the rows
        // after.
        var shared = Shared(table);
        var withRowId = table.KeyKind == KeyKind.RowId && !rewritten;
        var expected = now.ConvertAll(r => Say(r, withRowId, r.Values, shared.After));
        var left = was.ConvertAll(r => Say(r, withRowId, r.Values, shared.Before));
        foreach (var change in changes)
        {
            if (change.Before is not null)
            {
                var row = ModelRow.Of(change.Before);
                Assert.True(left.Remove(Say(row, withRowId, row.Values, shared.Before)),
                    $"There is no such row: {change}");
            }
            if (change.After is not null)
            {
                var row = ModelRow.Of(change.After);
                left.Add(Say(row, withRowId, row.Values, shared.After));
            }
        }
        Assert.Equal(expected.Order(StringComparer.Ordinal), left.Order(StringComparer.Ordinal));
        // And each update changes something that there is after.
        if (table.Before!.Sql == table.After!.Sql)
            foreach (var change in changes.Where(c => c.Kind == ChangeKind.Update))
                Assert.NotEqual(ModelRow.Of(change.Before!).Values, ModelRow.Of(change.After!).Values);
    }

    static string Say(ModelRow row, bool withRowId, string[] values, List<int> columns) =>
        string.Join("|", columns.Select(c => values[c]).Prepend(withRowId ? row.RowId.ToString() ?? "" : ""));

    /// <summary>The places, among stored columns, of those that both versions have by name.</summary>
    static (List<int> Before, List<int> After) Shared(TableDifference table)
    {
        var (before, after) = (Stored(table.Before!), Stored(table.After!));
        var names = after.Where(before.Contains).ToList();
        return (names.ConvertAll(before.IndexOf), names.ConvertAll(after.IndexOf));
    }

    static List<string> Stored(Table table)
        => table.Columns.Where(c => c.IsStored).Select(c => c.Name.ToUpperInvariant()).ToList();

    static string KeyOf(KeyKind kind, Row row)
    {
        var key = row.Table.KeyColumns;
        if (kind == KeyKind.RowId) return $"rowid {row.RowId}";
        // SQLite lets many rows have NULL in a key; they are told apart by their rowids.
        var without = row.RowId is not null && key.Any(k => row.Table.Columns[k].IsStored && row[k].IsNull)
            ? $"rowid {row.RowId} "
            : "";
        return without + string.Join("|", key.Select(k => Oracle.Say(row[k].ToObject())));
    }

    /// <summary>By the collations of the key, as SQLite compares.</summary>
    static bool Same(TableDifference table, Row before, Row after)
    {
        if (table.KeyKind == KeyKind.RowId) return before.RowId == after.RowId;
        return table.Before!.Key.Zip(table.After!.Key)
            .All(k => Values.Compare(before[k.First.Column], after[k.Second.Column], k.Second.Collation)
            == 0);
    }
}
