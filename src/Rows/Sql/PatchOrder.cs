namespace RecoveryVfs.Rows.Sql;

/// <summary>Tables in the order of their foreign keys.</summary>
internal static class PatchOrder
{
    /// <summary>Each table before those that it refers to; where tables refer to each other in a circle, the order of the schema decides.</summary>
    public static List<TableDifference> ReferringFirst(IEnumerable<TableDifference> tables)
    {
        var left = tables.ToList();
        var ordered = new List<TableDifference>();
        while (left.Count > 0)
        {
            var next = left.FindIndex(t => !left.Exists(other => other != t && RefersTo(other, t)));
            ordered.Add(left[Math.Max(next, 0)]);
            left.RemoveAt(Math.Max(next, 0));
        }
        return ordered;
    }

    static bool RefersTo(TableDifference from, TableDifference to) => new[] { from.Before, from.After }.Any(t =>
        t is not null && t.References.Contains((to.After ?? to.Before!).Name, StringComparer.OrdinalIgnoreCase));
}
