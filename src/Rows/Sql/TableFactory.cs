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
            // What would be the rowid elsewhere is an ordinary column here, compared by its own collation. SQLite makes
            // its key after all others.
            if (rowIdColumn >= 0) key = [key[0] with { Collation = columns[rowIdColumn].Collation }];
            key = WithoutRepeats(
                OrderOfSame(key, Earlier(parsed, rowIdColumn >= 0 ? null : primary, columns, schemaFormat)));
            rowIdColumn = -1;
        }
        else if (primary is not null && rowIdColumn < 0)
        {
            key = OrderOfSame(key, Earlier(parsed, primary, columns, schemaFormat));
        }
        PlaceFields(columns, parsed.IsWithoutRowId ? key : []);
        for (var i = key.Length - 1; i >= 0; i--) columns[key[i].Column].KeyIndex = i;
        if (rowIdColumn >= 0) columns[rowIdColumn].IsRowId = true;
        return new Table(name, root, sql, columns, key, encoding)
        {
            IsWithoutRowId = parsed.IsWithoutRowId,
            IsStrict = parsed.IsStrict,
            References = parsed.References,
            HasOtherKeys = parsed.Keys.Exists(k => !k.IsPrimary),
            RowIdColumn = rowIdColumn,
            KeyIndexName = primary is null || parsed.IsWithoutRowId || rowIdColumn >= 0
                ? null
                : KeyIndexName(name, parsed, columns, primary),
        };
    }

    static Column Make(ParsedColumn parsed, bool strict, TextEncoding encoding)
    {
        var affinity = AffinityOf(parsed.Type, strict);
        return new Column(parsed.Name, parsed.Type)
        {
            Affinity = affinity,
            Collation = parsed.Collation ?? "BINARY",
            NotNull = parsed.NotNull,
            IsGenerated = parsed.IsGenerated,
            IsStored = !parsed.IsGenerated || parsed.IsStored,
            DefaultSql = parsed.Default,
            Default = DefaultText.Of(parsed.Default, affinity, encoding),
        };
    }

    public static Affinity AffinityOf(string type, bool strict)
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

    static KeyColumn[] WithoutRepeats(KeyColumn[] key) =>
        key.DistinctBy(k => (k.Column, k.Collation.ToUpperInvariant())).ToArray();

    /// <summary>A record has the stored columns in their order; WITHOUT ROWID, those of the key come first.</summary>
    static void PlaceFields(Column[] columns, KeyColumn[] first)
    {
        for (var i = first.Length - 1; i >= 0; i--) columns[first[i].Column].Field = i;
        var field = first.Length;
        foreach (var column in columns)
            if (column.IsStored && column.Field < 0) column.Field = field++;
    }

    /// <summary>
    /// The keys for which SQLite made an index before it came to that one, in their order, by what two have to share to
    /// be one: it leaves out what repeats an earlier one.
    /// </summary>
    static OrderedDictionary<string,
        KeyColumn[]> Earlier(ParsedTable parsed, ParsedKey? before, Column[] columns, uint schemaFormat)
    {
        var made = new OrderedDictionary<string, KeyColumn[]>(StringComparer.OrdinalIgnoreCase);
        foreach (var key in parsed.Keys)
        {
            if (key == before) break;
            if (key.IsPrimary) continue; // One that makes no index.
            var resolved = Resolve(key, columns, schemaFormat);
            made.TryAdd(Identity(resolved), resolved);
        }
        return made;
    }

    static string Identity(KeyColumn[] key) => string.Join(',', key.Select(k => $"{k.Column} {k.Collation}"));

    /// <summary>A primary key that repeats a UNIQUE before it takes that one's index, and its order.</summary>
    static KeyColumn[] OrderOfSame(KeyColumn[] key, OrderedDictionary<string, KeyColumn[]> earlier) =>
        earlier.GetValueOrDefault(Identity(key), key);

    /// <summary>SQLite numbers the indexes that it makes for keys in the order of their declaration.</summary>
    static string KeyIndexName(string name, ParsedTable parsed, Column[] columns, ParsedKey primary)
    {
        var earlier = Earlier(parsed, primary, columns, 4);
        var same = earlier.IndexOf(Identity(Resolve(primary, columns, 4)));
        return $"sqlite_autoindex_{name}_{(same < 0 ? earlier.Count : same) + 1}";
    }
}
