namespace RecoveryVfs.Rows.Patches;

/// <summary>Tables in the order of their foreign keys.</summary>
internal static class PatchOrder
{
    /// <summary>
    /// Each table before those that it refers to; where tables refer to each other in a circle, the order of the schema
    /// decides.
    /// </summary>
    public static List<TableDifference> ReferringFirst(IEnumerable<TableDifference> tables)
    {
        var ordered = new List<TableDifference>();
        var left = new OrderedDictionary<TableDifference, HashSet<string>>();
        foreach (var table in tables) left.Add(table, References(table));
        // By how many of those that are left.
        var referredTo = new Dictionary<string, int>(StringComparer.OrdinalIgnoreCase);
        foreach (var name in left.Values.SelectMany(r => r)) referredTo[name] = referredTo.GetValueOrDefault(name) + 1;
        while (left.Count > 0)
        {
            var free = left.Where(t => referredTo.GetValueOrDefault(Name(t.Key)) == 0).ToList();
            foreach (var (table, references) in free.Count > 0 ? free : left.Take(1).ToList())
            {
                ordered.Add(table);
                left.Remove(table);
                foreach (var name in references) referredTo[name]--;
            }
        }
        return ordered;
    }

    static string Name(TableDifference table) => (table.After ?? table.Before!).Name;

    /// <summary>The tables that it refers to, but for itself.</summary>
    static HashSet<string> References(TableDifference table)
    {
        var names = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        foreach (var each in new[] { table.Before, table.After })
            if (each is not null) names.UnionWith(each.References);
        names.Remove(Name(table));
        return names;
    }
}
