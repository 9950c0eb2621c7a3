using RecoveryVfs.Rows.Format;

namespace RecoveryVfs.Rows.Differences;

/// <summary>
/// Differences of a table WITHOUT ROWID whose key has a collation that is not known here, and so an order that cannot
/// be followed. Rows of pages that both trees have unchanged are left out; those of the others are held in memory, by
/// the bytes of their keys.
/// </summary>
internal sealed class UnorderedDifference(ComparedVersions versions, Table before, Table after)
{
    public IEnumerable<RowChange> Changes()
    {
        var columns = new ColumnMap(before, after);
        var common = new HashSet<uint>();
        if (columns.KeepsRecords)
        {
            Walk(versions.Before, before, page => { if (!versions.Changed[page]) common.Add(page); });
            var ofAfter = new HashSet<uint>();
            Walk(versions.After, after, page => { if (common.Contains(page)) ofAfter.Add(page); });
            common = ofAfter;
        }
        var was = new Dictionary<string, Row>(StringComparer.Ordinal);
        foreach (var row in Rows(versions.Before, before, common)) was[KeyOf(row)] = row;
        foreach (var row in Rows(versions.After, after, common))
        {
            if (!was.Remove(KeyOf(row), out var old)) yield return new RowChange(ChangeKind.Insert, null, row);
            else if (!columns.SameValues(old, row)) yield return new RowChange(ChangeKind.Update, old, row);
        }
        foreach (var row in was.Values) yield return new RowChange(ChangeKind.Delete, row, null);
    }

    /// <summary>Shows each page of the tree that has rows, without reading its leaves.</summary>
    static void Walk(RowReader reader, Table table, Action<uint> see)
    {
        var walk = new TreeWalk(reader.Pages, table.Root, ofRowIds: false);
        walk.FindLevels();
        while (walk.At != WalkAt.End)
        {
            if (walk.At == WalkAt.Row)
            {
                see(walk.Page.Number);
                walk.Next();
            }
            else if (walk.Level == 0)
            {
                see(walk.Subtree);
                walk.Leave();
            }
            else
            {
                walk.Enter();
            }
        }
    }

    static IEnumerable<Row> Rows(RowReader reader, Table table, HashSet<uint> except)
    {
        var walk = new TreeWalk(reader.Pages, table.Root, ofRowIds: false);
        walk.FindLevels();
        while (walk.At != WalkAt.End)
        {
            if (walk.At == WalkAt.Row)
            {
                if (!except.Contains(walk.Page.Number))
                    yield return new Row(table, 0, walk.Payload(reader.MostRowBytes), walk.Page.Number);
                walk.Next();
            }
            else if (walk.Level == 0 && except.Contains(walk.Subtree))
            {
                walk.Leave();
            }
            else
            {
                walk.Enter();
            }
        }
    }

    static string KeyOf(Row row) =>
        string.Join('|',
            row.Table.Key.Select(k => row[k.Column].Kind + ":" + Convert.ToHexString(Bytes(row[k.Column]))));

    static byte[] Bytes(ColumnValue value) => value.Kind switch
    {
        ValueKind.Integer => BitConverter.GetBytes(value.Integer),
        ValueKind.Real => BitConverter.GetBytes(value.Real),
        _ => value.Bytes.ToArray(),
    };
}
