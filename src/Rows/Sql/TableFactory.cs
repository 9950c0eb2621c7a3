namespace RecoveryVfs.Rows.Sql;

/// <summary>From what a CREATE TABLE says to where each column's value is in a record.</summary>
internal static class TableFactory
{
    public static Table Make(string name, uint root, string sql, TextEncoding encoding, uint schemaFormat)
    {
        var parsed = TableParser.Parse(sql);
        var columns = parsed.Columns.Select(c => Make(c, parsed.IsStrict, encoding)).ToArray();
        var primary = parsed.Keys.Find(k => k.IsPrimary);
        var rowIdColumn = primary is null ? -1 : RowIdColumn(primary, columns);
        var key = primary is null ? [] : Resolve(primary, columns, schemaFormat);
        if (parsed.IsWithoutRowId)
        {
            if (primary is null) throw new FormatException("WITHOUT ROWID, but no primary key");
            key = WithoutRepeats(key);
            // What would be the rowid elsewhere is an ordinary column here, compared by its own collation.
            if (rowIdColumn >= 0) key = [key[0] with { Collation = columns[rowIdColumn].Collation }];
            rowIdColumn = -1;
        }
        PlaceFields(columns, parsed.IsWithoutRowId ? key : []);
        for (var i = key.Length - 1; i >= 0; i--) columns[key[i].Column].KeyIndex = i;
        if (rowIdColumn >= 0) columns[rowIdColumn].IsRowId = true;
        return new Table(name, root, sql, columns, key, encoding)
        {
            IsWithoutRowId = parsed.IsWithoutRowId,
            IsStrict = parsed.IsStrict,
            RowIdColumn = rowIdColumn,
            KeyIndexName = primary is null || parsed.IsWithoutRowId || rowIdColumn >= 0 ? null : KeyIndexName(name, parsed, columns, primary),
        };
    }

    static Column Make(ParsedColumn parsed, bool strict, TextEncoding encoding)
    {
        var affinity = AffinityOf(parsed.Type, strict);
        return new Column(parsed)
        {
            Affinity = affinity,
            Collation = parsed.Collation ?? "BINARY",
            NotNull = parsed.NotNull,
            IsGenerated = parsed.IsGenerated,
            IsStored = !parsed.IsGenerated || parsed.IsStored,
            DefaultSql = parsed.Default,
            Default = DefaultValue.Of(parsed.Default, affinity, encoding),
        };
    }

    static Affinity AffinityOf(string type, bool strict)
    {
        bool Has(string part) => type.Contains(part, StringComparison.OrdinalIgnoreCase);
        if (type.Length == 0) return Affinity.Blob;
        if (strict && type.Equals("ANY", StringComparison.OrdinalIgnoreCase)) return Affinity.Blob;
        if (Has("INT")) return Affinity.Integer;
        if (Has("CHAR") || Has("CLOB") || Has("TEXT")) return Affinity.Text;
        if (Has("BLOB")) return Affinity.Blob;
        return Has("REAL") || Has("FLOA") || Has("DOUB") ? Affinity.Real : Affinity.Numeric;
    }

    static int RowIdColumn(ParsedKey primary, Column[] columns)
    {
        if (primary.Columns.Count != 1 || primary.IsDescendingColumn) return -1;
        var column = Find(columns, primary.Columns[0].Name);
        return columns[column].DeclaredType.Equals("INTEGER", StringComparison.OrdinalIgnoreCase) ? column : -1;
    }

    static KeyColumn[] Resolve(ParsedKey key, Column[] columns, uint schemaFormat) => key.Columns.Select(c =>
    {
        var column = Find(columns, c.Name);
        return new KeyColumn(column, c.Collation ?? columns[column].Collation, c.Descending && schemaFormat >= 4);
    }).ToArray();

    static int Find(Column[] columns, string name)
    {
        var found = Array.FindIndex(columns, c => c.Name.Equals(name, StringComparison.OrdinalIgnoreCase));
        return found >= 0 ? found : throw new FormatException($"a key of the column '{name}', which it does not have");
    }

    static bool SameColumn(KeyColumn a, KeyColumn b) => a.Column == b.Column && a.Collation.Equals(b.Collation, StringComparison.OrdinalIgnoreCase);

    static KeyColumn[] WithoutRepeats(KeyColumn[] key)
    {
        var kept = new List<KeyColumn>();
        foreach (var column in key)
            if (!kept.Exists(k => SameColumn(k, column))) kept.Add(column);
        return [.. kept];
    }

    /// <summary>A record has the stored columns in their order; WITHOUT ROWID, those of the key come first.</summary>
    static void PlaceFields(Column[] columns, KeyColumn[] first)
    {
        for (var i = first.Length - 1; i >= 0; i--) columns[first[i].Column].Field = i;
        var field = first.Length;
        foreach (var column in columns)
            if (column.IsStored && column.Field < 0) column.Field = field++;
    }

    /// <summary>SQLite numbers the indexes that it makes for keys in the order of their declaration, and leaves out those that repeat an earlier one.</summary>
    static string? KeyIndexName(string name, ParsedTable parsed, Column[] columns, ParsedKey primary)
    {
        var made = new List<KeyColumn[]>();
        foreach (var key in parsed.Keys)
        {
            if (key.IsPrimary && RowIdColumn(key, columns) >= 0) continue;
            var resolved = Resolve(key, columns, 4);
            var same = made.FindIndex(m => m.Length == resolved.Length && m.Zip(resolved).All(p => SameColumn(p.First, p.Second)));
            if (same < 0) made.Add(resolved);
            if (key == primary) return $"sqlite_autoindex_{name}_{(same < 0 ? made.Count : same + 1)}";
        }
        return null;
    }
}
