namespace RecoveryVfs.Rows.Differences;

/// <summary>
/// Which column of a table was which before it was altered: by name, and then, for those that were renamed, by the
/// place between the ones that kept theirs.
/// </summary>
internal sealed class ColumnMap
{
    readonly Table before, after;
    readonly int[] beforeOf = []; // Empty where both are the same table: each column is what it was.

    public ColumnMap(Table before, Table after)
    {
        (this.before, this.after) = (before, after);
        if (ReferenceEquals(before, after))
        {
            (KeepsRecords, IsSame) = (true, true);
            return;
        }
        beforeOf = new int[after.Columns.Count];
        for (var i = 0; i < beforeOf.Length; i++) beforeOf[i] = before.IndexOf(after.Columns[i].Name);
        for (var i = 0; i < beforeOf.Length; i++)
            if (beforeOf[i] < 0) beforeOf[i] = Renamed(i);
        var stored = before.Columns.Count(c => c.IsStored);
        KeepsRecords = before.Encoding == after.Encoding;
        for (var i = 0; i < beforeOf.Length; i++)
            KeepsRecords &= beforeOf[i] < 0
                ? !after.Columns[i].IsStored || after.Columns[i].Field >= stored
                : SameInRecord(before.Columns[beforeOf[i]], after.Columns[i]);
        IsSame = KeepsRecords && before.Columns.Count == after.Columns.Count && Array.TrueForAll(beforeOf, i => i >= 0);
    }

    /// <summary>
    /// Whether a record that was not written anew means the same in all columns that both have, and the default in the
    /// added ones.
    /// </summary>
    public bool KeepsRecords { get; }

    /// <summary>Whether records of both mean the same, byte for byte.</summary>
    public bool IsSame { get; }

    /// <summary>The column's index before; -1 when it was added.</summary>
    public int this[int column] => IsSameTable ? column : beforeOf[column];

    bool IsSameTable => ReferenceEquals(before, after);

    /// <summary>Whether rows of both can be told apart in the same way.</summary>
    public bool SameKey()
    {
        if (IsSameTable) return true;
        if (before.IsWithoutRowId != after.IsWithoutRowId || before.Key.Length != after.Key.Length) return false;
        if (before.IsWithoutRowId && before.Encoding != after.Encoding) return false;
        if (before.RowIdColumn < 0 != after.RowIdColumn < 0) return false;
        for (var i = 0; i < before.Key.Length; i++)
        {
            var (b, a) = (before.Key[i], after.Key[i]);
            if (beforeOf[a.Column] != b.Column || a.Descending != b.Descending
                || !a.Collation.Equals(b.Collation, StringComparison.OrdinalIgnoreCase))
                return false;
        }
        return true;
    }

    /// <summary>
    /// Whether the row has the same values in all columns that there are after; a column that was added had its default
    /// before.
    /// </summary>
    public bool SameValues(Row before, Row after)
    {
        for (var i = 0; i < this.after.Columns.Count; i++)
        {
            var value = after[i];
            if (value.Kind == ValueKind.NotStored) continue;
            var earlier = this[i];
            var was = earlier >= 0 ? before[earlier] : this.after.Columns[i].Default.Value(this.after.Encoding);
            if (was.Kind == ValueKind.NotStored || (this.after.Columns[i].IsGenerated && earlier < 0)) continue;
            if (!value.Same(was)) return false;
        }
        return true;
    }

    static bool SameInRecord(Column before, Column after) => before.Field == after.Field
        && before.Affinity == after.Affinity && before.IsRowId == after.IsRowId &&
        before.IsStored == after.IsStored && before.DefaultSql == after.DefaultSql;

    int Renamed(int column)
    {
        // Its neighbour to the left kept its name (or is itself renamed), and the next one before is in nobody's place.
        var left = column == 0 ? -1 : beforeOf[column - 1];
        if (column > 0 && left < 0) return -1;
        var candidate = left + 1;
        if (candidate >= before.Columns.Count || Array.IndexOf(beforeOf, candidate) >= 0) return -1;
        return before.Columns[candidate].DeclaredType == after.Columns[column].DeclaredType ? candidate : -1;
    }
}
