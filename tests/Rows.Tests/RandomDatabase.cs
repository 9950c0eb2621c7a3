namespace RecoveryVfs.Rows.Tests;

/// <summary>A database that random statements change, with all that SQLite has to make a reader's life hard.</summary>
internal sealed class RandomDatabase : IDisposable
{
    static readonly string[] types =
        ["INT", "INTEGER", "TEXT", "VARCHAR(10, 2)", "BLOB", "REAL", "DOUBLE PRECISION", "NUMERIC", "",
            "FLOATING POINT", "\"quoted type\"", "ANY", "bool default_ish"];
    static readonly string[] oddNames =
        ["a", "b", "c", "check me", "a\"b", "[x", "x`y", "it's", "ключ", "primary", "--", "/*", "GENERATED", "id",
            "zz)", "a,b", "always", "_1$"];

    readonly Random random;
    readonly string path;
    readonly bool isOwn;
    int made;

    /// <param name="random">What decides.</param>
    /// <param name="pageSize">The size of its pages, when that matters.</param>
    /// <param name="name">Where it is, as SQLite is told; a file of its own by default.</param>
    /// <param name="journal">Its journal mode.</param>
    public RandomDatabase(Random random, int? pageSize = null, string? name = null, string journal = "MEMORY")
    {
        this.random = random;
        path = name ?? Path.Combine(Path.GetTempPath(), $"rows-{Guid.NewGuid():N}.db");
        isOwn = name is null;
        Db = new Sqlite(path);
        Db.Do($"PRAGMA page_size={pageSize ?? 512 << random.Next(random.Next(4) == 0 ? 8 : 4)}");
        Db.Do("PRAGMA encoding='" + Pick("UTF-8", "UTF-8", "UTF-16le", "UTF-16be") + "'");
        Db.Do($"PRAGMA auto_vacuum={random.Next(5) switch { 0 => 1, 1 => 2, _ => 0 }}");
        Db.Do($"PRAGMA journal_mode={journal}");
        Db.Do("PRAGMA synchronous=OFF");
        Db.Do($"PRAGMA cache_size={Pick("5", "100", "-2000")}");
        Db.Do($"PRAGMA foreign_keys={random.Next(2)}");
        if (random.Next(6) == 0)
        {
            Db.Do("CREATE TABLE sized(x)");
            Db.Reserve(random.Next(1, 33));
            Db.Do("VACUUM");
        }
        for (var i = random.Next(1, 4); i > 0; i--) CreateTable();
    }

    public Sqlite Db { get; }

    /// <summary>The statements so far, for whoever looks into a failure.</summary>
    public List<string> Statements { get; } = [];

    public byte[] File => System.IO.File.ReadAllBytes(path);

    public string FilePath => path;

    public IEnumerable<string> Tables
        => Db.Names("SELECT name FROM sqlite_master WHERE type='table' AND rootpage>0 ORDER BY rowid");

    public void Dispose()
    {
        Db.Dispose();
        if (isOwn) System.IO.File.Delete(path);
    }

    /// <summary>One transaction of some statements; some of them are taken back.</summary>
    public void Commit(int statements, bool rebuilds = true)
    {
        Run("BEGIN");
        for (var i = 0; i < statements; i++)
        {
            var back = random.Next(12) == 0;
            if (back) Run("SAVEPOINT s");
            Statement();
            if (back) Run("ROLLBACK TO s");
        }
        if (random.Next(25) == 0 || Db.Try("COMMIT") is not null) Run("ROLLBACK"); // A foreign key may be against it.
        else Statements.Add("COMMIT");
        if (rebuilds && random.Next(25) == 0) Rebuild();
        if (random.Next(30) == 0) Run("PRAGMA incremental_vacuum(3)");
        if (random.Next(30) == 0) Run("ANALYZE");
    }

    public void Rebuild()
    {
        if (random.Next(2) == 0) Run($"PRAGMA page_size={512 << random.Next(5)}");
        if (random.Next(4) == 0) Run($"PRAGMA auto_vacuum={random.Next(3)}");
        Run("VACUUM");
    }

    void Statement()
    {
        var kind = random.Next(100);
        if (kind < 4) CreateTable();
        else if (AnyTable() is not { } table) CreateTable();
        else if (kind < 45) Insert(table, Pick("INSERT OR IGNORE", "INSERT OR REPLACE", "REPLACE"));
        else if (kind < 55) Upsert(table);
        else if (kind < 75) Update(table);
        else if (kind < 88) Delete(table);
        else Alter(table, kind);
    }

    void Alter(string table, int kind)
    {
        var quoted = Sqlite.Quote(table);
        switch (kind)
        {
            case 88 or 89: Run($"ALTER TABLE {quoted} ADD COLUMN {NewColumn(later: true)}"); break;
            case 90: Run($"ALTER TABLE {quoted} RENAME TO {Sqlite.Quote(NewName())}"); break;
            case 91:
                Run($"ALTER TABLE {quoted} RENAME COLUMN {AnyColumn(table)} TO {Sqlite.Quote("c" + ++made)}");
                break;
            case 92: Run($"ALTER TABLE {quoted} DROP COLUMN {AnyColumn(table)}"); break;
            case 93: Run($"DROP TABLE {quoted}"); break;
            case 94 or 95:
                Run($"CREATE INDEX i{++made} ON {quoted}({AnyColumn(table)}, {AnyColumn(table)} DESC)");
                break;
            case 96: Run($"DELETE FROM {quoted}"); break;
            case 97: Many(table); break;
            default: Insert(table, "INSERT"); break;
        }
    }

    public void Many(string table)
    {
        var columns = Columns(table);
        for (var i = random.Next(20, 120); i > 0; i--) Insert(table, "INSERT OR IGNORE", columns);
    }

    public string? AnyTable()
        => Db.Names("SELECT name FROM sqlite_master WHERE type='table' AND rootpage>0 AND name NOT LIKE 'sqlite%'")
            is { Count: > 0 } names
        ? names[random.Next(names.Count)]
        : null;

    public void Insert(string table, string verb, List<string>? columns = null)
    {
        columns ??= Columns(table);
        var some = columns.Where(_ => random.Next(8) != 0).DefaultIfEmpty(columns[0]).ToList();
        Run($"{verb} INTO {Sqlite.Quote(table)}({string.Join(", ", some)}) "
            + $"VALUES({string.Join(", ", some.Select(_ => "?"))})", some.Select(_ => Value()).ToArray());
    }

    void Upsert(string table)
    {
        var columns = Columns(table);
        Run($"INSERT INTO {Sqlite.Quote(table)}({string.Join(", ", columns)}) "
            + $"VALUES({string.Join(", ", columns.Select(_ => "?"))}) " +
            $"ON CONFLICT DO UPDATE SET {columns[^1]} = ?", [.. columns.Select(_ => Value()), Value()]);
    }

    public void Update(string table) =>
        Run($"UPDATE OR {Pick("IGNORE", "REPLACE")} {Sqlite.Quote(table)} SET {AnyColumn(table)} = ?, "
            + $"{AnyColumn(table)} = ? WHERE {Where(table)}", Value(), Value());

    public void Delete(string table) => Run($"DELETE FROM {Sqlite.Quote(table)} WHERE {Where(table)}");

    string Where(string table)
        => $"abs(random() % {random.Next(2, 20)}) = 0".Replace("random()",
            $"(unicode(hex({AnyColumn(table)})) * {random.Next(1, 99)})", StringComparison.Ordinal);

    List<string> Columns(string table) =>
        Db.Query($"PRAGMA table_xinfo({Sqlite.Quote(table)})").Where(r => (long)r[6]! == 0)
            .Select(r => Sqlite.Quote((string)r[1]!)).ToList();

    string AnyColumn(string table) => Columns(table) is var c ? c[random.Next(c.Count)] : "";

    void CreateTable()
    {
        var withoutRowId = random.Next(3) == 0;
        var names = oddNames.OrderBy(_ => random.Next()).Take(random.Next(1, 7)).ToList();
        var strict = Sqlite.HasStrict && random.Next(5) == 0;
        var parts = new List<string>();
        var inline = random.Next(3) == 0;
        for (var i = 0; i < names.Count; i++)
        {
            var type = strict
                ? Pick("INT", "INTEGER", "TEXT", "BLOB", "REAL", "ANY")
                : types[random.Next(types.Length)];
            var column = $"{Quote(names[i])} {type}{Comment()}";
            if (i == 0 && inline)
                column += random.Next(4) == 0 && !withoutRowId
                    ? " PRIMARY KEY DESC"
                    : " CONSTRAINT \"pk(\" PRIMARY KEY ON CONFLICT REPLACE";
            if (random.Next(6) == 0)
                column += Pick(" COLLATE NOCASE", " COLLATE rtrim",
                    " NOT NULL ON CONFLICT IGNORE DEFAULT 'it''s ) , x'", " UNIQUE", " CHECK(1 IN (1, 2, ')'))");
            parts.Add(column);
        }
        if (random.Next(4) == 0) parts.Add($"gv GENERATED ALWAYS AS (typeof({Quote(names[0])}) || ',)') VIRTUAL");
        if (random.Next(4) == 0)
            parts.Insert(random.Next(1, parts.Count + 1),
                $"gs TEXT AS (coalesce(length({Quote(names[^1])}), 0) + 1) STORED NOT NULL");
        var key = !inline && (withoutRowId || random.Next(2) == 0);
        if (key) parts.Add($"CONSTRAINT [the key] PRIMARY KEY({Key(names)})");
        if (random.Next(4) == 0) parts.Add($"UNIQUE({Quote(names[^1])}, {Quote(names[0])})");
        if (random.Next(5) == 0 && AnyTable() is { } parent)
            parts.Add($"FOREIGN KEY({Quote(names[0])}) REFERENCES {Sqlite.Quote(parent)} ON DELETE CASCADE ON UPDATE "
                + "SET NULL DEFERRABLE INITIALLY DEFERRED");
        var options =
            (withoutRowId && (inline || key), strict) switch
            {
                (true, true) => "STRICT, WITHOUT ROWID",
                (true, _) => "WITHOUT rowid",
                (_, true) => "STRICT",
                _ => ""
            };
        Run($"CREATE TABLE {Quote(NewName())}{Comment()}({string.Join("," + Comment(), parts)}) {options}");
    }

    string Key(List<string> names) => string.Join(", ", names.OrderBy(_ => random.Next()).Take(random.Next(1, 4))
        .Select(n => Quote(n) + Pick("", "", " COLLATE NOCASE", " COLLATE RTRIM", " COLLATE BINARY")
        + Pick("", "", " DESC", " ASC")));

    string NewColumn(bool later) => Quote("n" + ++made) + " " + types[random.Next(types.Length)] +
        (later ? " " + Pick("", "DEFAULT 5", "DEFAULT -5.50", "DEFAULT '12'", "DEFAULT 'späť, (x'", "DEFAULT x'00ff'",
            "DEFAULT NULL", "DEFAULT \"dq\"", "DEFAULT (7)",
            Sqlite.IsRecent
                ? "DEFAULT TRUE"
                : "DEFAULT +1", "DEFAULT +3", "DEFAULT 0x1F", Sqlite.IsRecent ? "DEFAULT 1e3"
                : "DEFAULT 4", "DEFAULT ' 4.0 '", "DEFAULT word", "AS (1+1)", "NOT NULL DEFAULT 'x' COLLATE nocase",
                "DEFAULT 9223372036854775807",
            "DEFAULT 3000000000", Sqlite.IsRecent ? "DEFAULT 1.0" : "DEFAULT 1") : "");

    string NewName() => "t" + ++made + Pick("", "", " x", "'q", "(", ",");

    string Comment() => Pick("", "", "", " ", " /* ) , -- */ ", "\n-- it's ( a comment\n");

    string Quote(string name) => random.Next(4) switch
    {
        0 when !name.Contains(']') => $"[{name}]",
        1 => $"`{name.Replace("`", "``", StringComparison.Ordinal)}`",
        _ => Sqlite.Quote(name),
    };

    public object? Value() => random.Next(16) switch
    {
        0 => null,
        1 => 0L,
        2 => 1L,
        3 => (long)random.Next(-130, 130),
        4 => random.NextInt64(long.MinValue, long.MaxValue) >> random.Next(64),
        5 => (double)random.Next(-1000, 1000),
        6 => random.NextDouble() * Math.Pow(10, random.Next(-20, 20)),
        7 => Pick<object>(double.PositiveInfinity, -0.0, 1e18, 0.5),
        8 or 9 => (long)random.Next(1, 40),
        10 => Text(random.Next(0, 6)),
        11 => Text(random.Next(0, 6)) + Pick("", " ", "  "),
        12 => Text(random.Next(6) == 0 ? random.Next(9000) : random.Next(60)),
        13 => random.Next(-50, 50).ToString(System.Globalization.CultureInfo.InvariantCulture),
        14 => Blob(random.Next(10)),
        _ => Blob(random.Next(6) == 0 ? random.Next(20000) : random.Next(300)),
    };

    string Text(int length) => string.Create(length, random, (span, r) =>
    {
        for (var i = 0; i < span.Length; i++) span[i] = "abcABC xyzéЖ漢"[r.Next(13)];
    });

    byte[] Blob(int length)
    {
        var bytes = new byte[length];
        random.NextBytes(bytes);
        return bytes;
    }

    T Pick<T>(params T[] from) => from[random.Next(from.Length)];

    void Run(string sql, params object?[] values)
    {
        var error = Db.Try(sql, values);
        Statements.Add(error is null ? sql : $"-- {error}: {sql}");
    }
}
