namespace RecoveryVfs.Rows.Sql;

/// <summary>
/// Reads CREATE TABLE as SQLite's grammar has it. SQLite has accepted the statement, so what does not matter for rows
/// is stepped over, not checked. What cannot be a CREATE TABLE is a <see cref="FormatException"/>.
/// </summary>
internal sealed class TableParser
{
    readonly Tokens tokens;
    readonly ParsedTable table = new();

    TableParser(string sql) => tokens = new Tokens(sql);

    public static ParsedTable Parse(string sql) => new TableParser(sql).Parse();

    ParsedTable Parse()
    {
        if (!tokens.TryTake("CREATE")) throw tokens.Unexpected("CREATE");
        if (!tokens.TryTake("TEMP")) tokens.TryTake("TEMPORARY");
        if (!tokens.TryTake("TABLE")) throw tokens.Unexpected("TABLE");
        if (tokens.Is("IF"))
            while (!tokens.TryTake("EXISTS"))
                TakeAny();
        tokens.TakeName();
        if (tokens.TryTakeSign('.')) tokens.TakeName();
        if (!tokens.TryTakeSign('(')) throw tokens.Unexpected("'('");
        do Element();
        while (tokens.TryTakeSign(','));
        if (!tokens.TryTakeSign(')')) throw tokens.Unexpected("')'");
        Options();
        if (table.Columns.Count is 0 or > 32767) throw new FormatException($"a table of {table.Columns.Count} columns");
        return table;
    }

    void Options()
    {
        do
        {
            if (tokens.TryTake("STRICT")) table.IsStrict = true;
            if (!tokens.TryTake("WITHOUT")) continue;
            tokens.TakeName();
            table.IsWithoutRowId = true;
        }
        while (tokens.TryTakeSign(','));
    }

    bool AtTableConstraint => tokens.Is("CONSTRAINT") || tokens.Is("PRIMARY") || tokens.Is("UNIQUE")
        || tokens.Is("CHECK") || tokens.Is("FOREIGN");

    void Element()
    {
        if (!AtTableConstraint)
        {
            ColumnDefinition();
            return;
        }
        while (AtTableConstraint) TableConstraint(); // Commas between them are optional.
    }

    void TableConstraint()
    {
        if (tokens.TryTake("CONSTRAINT")) tokens.TakeName();
        else if (tokens.TryTake("CHECK")) tokens.TakeParenthesis();
        else if (tokens.TryTake("FOREIGN"))
        {
            TakeAny();
            tokens.TakeParenthesis();
            if (tokens.TryTake("REFERENCES")) References();
            if (tokens.TryTake("NOT")) Deferrable();
        }
        else
        {
            var primary = tokens.TryTake("PRIMARY");
            TakeAny(); // KEY or UNIQUE
            table.Keys.Add(new ParsedKey { IsPrimary = primary, Columns = KeyColumns() });
        }
        OnConflict();
    }

    List<ParsedKeyColumn> KeyColumns()
    {
        var columns = new List<ParsedKeyColumn>();
        if (!tokens.TryTakeSign('(')) throw tokens.Unexpected("'('");
        do
        {
            var name = tokens.TakeName();
            string? collation = null;
            while (tokens.TryTake("COLLATE")) collation = tokens.TakeName();
            var descending = tokens.TryTake("DESC");
            if (!descending) tokens.TryTake("ASC");
            if (tokens.TryTake("NULLS")) TakeAny();
            tokens.TryTake("AUTOINCREMENT");
            columns.Add(new ParsedKeyColumn(name, collation, descending));
        }
        while (tokens.TryTakeSign(','));
        if (!tokens.TryTakeSign(')')) throw tokens.Unexpected("')'");
        if (columns.Count > 32767) throw new FormatException($"a key of {columns.Count} columns");
        return columns;
    }

    void ColumnDefinition()
    {
        var column = new ParsedColumn { Name = tokens.TakeName() };
        table.Columns.Add(column);
        column.Type = Type();
        while (ColumnConstraint(column)) { }
        if (!tokens.IsSign(',') && !tokens.IsSign(')') && !AtTableConstraint) throw tokens.Unexpected("',' or ')'");
    }

    string Type()
    {
        var start = tokens.Current.Start;
        var end = start;
        while (IsOfType())
        {
            // GENERATED is a word like others, unless ALWAYS follows.
            var generated = tokens.Is("GENERATED");
            var token = tokens.Take();
            if (generated && tokens.Is("ALWAYS")) break;
            end = token.End;
        }
        if (end == start || !tokens.IsSign('(')) return Text(start, end);
        tokens.TakeParenthesis();
        return Text(start, tokens.Previous.End);

        string Text(int from, int to)
        {
            var text = tokens.Raw(from, to);
            return text.Length > 0 && text[0] is '"' or '\'' or '`' or '[' ? FirstUnquoted(text) : text;
        }
    }

    /// <summary>SQLite takes only the quoted part of a type that begins with a quote.</summary>
    static string FirstUnquoted(string text)
    {
        var first = new Tokens(text);
        return first.Unquoted(first.Current);
    }

    bool IsOfType() => tokens.Current.Kind switch
    {
        TokenKind.Quoted or TokenKind.Text => true,
        TokenKind.Word => !IsReserved(tokens.RawOf(tokens.Current)),
        _ => false,
    };

    static bool IsReserved(ReadOnlySpan<char> word)
    {
        ReadOnlySpan<string> reserved =
            ["CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "DEFAULT", "NOT", "NULL", "COLLATE", "REFERENCES", "FOREIGN",
                "AS", "AUTOINCREMENT", "DEFERRABLE", "ON"];
        foreach (var each in reserved)
            if (word.Equals(each, StringComparison.OrdinalIgnoreCase)) return true;
        return false;
    }

    bool ColumnConstraint(ParsedColumn column)
    {
        if (tokens.TryTake("CONSTRAINT")) tokens.TakeName();
        else if (tokens.TryTake("DEFAULT")) column.Default = Default();
        else if (tokens.TryTake("NULL")) { }
        else if (tokens.TryTake("NOT")) Not(column);
        else if (tokens.TryTake("PRIMARY")) PrimaryKey(column);
        else if (tokens.TryTake("UNIQUE"))
            table.Keys.Add(
                new ParsedKey { IsPrimary = false, Columns = [new ParsedKeyColumn(column.Name, null, false)] });
        else if (tokens.TryTake("CHECK")) tokens.TakeParenthesis();
        else if (tokens.TryTake("COLLATE")) column.Collation = tokens.TakeName();
        else if (tokens.TryTake("REFERENCES")) References();
        else if (tokens.Is("DEFERRABLE") || tokens.Is("INITIALLY")) Deferrable();
        else if (tokens.TryTake("GENERATED") || tokens.TryTake("ALWAYS")) { }
        else if (tokens.TryTake("AS")) Generated(column);
        else return false;
        OnConflict();
        return true;
    }

    void Not(ParsedColumn column)
    {
        if (tokens.Is("DEFERRABLE")) Deferrable();
        else if (tokens.TryTake("NULL")) column.NotNull = true;
        else throw tokens.Unexpected("NULL");
    }

    void PrimaryKey(ParsedColumn column)
    {
        TakeAny();
        var descending = tokens.TryTake("DESC");
        if (!descending) tokens.TryTake("ASC");
        OnConflict();
        tokens.TryTake("AUTOINCREMENT");
        table.Keys.Add(new ParsedKey
        {
            IsPrimary = true,
            Columns = [new ParsedKeyColumn(column.Name, null, descending)],
            IsDescendingColumn = descending,
        });
    }

    void Generated(ParsedColumn column)
    {
        tokens.TakeParenthesis();
        column.IsGenerated = true;
        if (tokens.TryTake("STORED")) column.IsStored = true;
        else tokens.TryTake("VIRTUAL");
    }

    string Default()
    {
        var start = tokens.Current.Start;
        if (tokens.IsSign('('))
        {
            tokens.TakeParenthesis();
            return tokens.Raw(start, tokens.Previous.End);
        }
        while (tokens.IsSign('+') || tokens.IsSign('-')) tokens.Take();
        TakeAny();
        return tokens.Raw(start, tokens.Previous.End);
    }

    void References()
    {
        table.References.Add(tokens.TakeName());
        if (tokens.IsSign('(')) tokens.TakeParenthesis();
        while (true)
        {
            if (tokens.TryTake("ON"))
            {
                TakeAny(); // DELETE, UPDATE or INSERT
                var two = tokens.Is("SET") || tokens.Is("NO");
                TakeAny();
                if (two) TakeAny();
            }
            else if (tokens.TryTake("MATCH")) tokens.TakeName();
            else if (tokens.Is("DEFERRABLE") || tokens.Is("INITIALLY")) Deferrable();
            else return;
        }
    }

    void Deferrable()
    {
        TakeAny();
        if (tokens.TryTake("INITIALLY") || tokens.Is("DEFERRED") || tokens.Is("IMMEDIATE")) TakeAny();
    }

    void OnConflict()
    {
        if (!tokens.TryTake("ON")) return;
        TakeAny();
        TakeAny();
    }

    void TakeAny()
    {
        if (tokens.Current.Kind == TokenKind.End) throw tokens.Unexpected("the rest of the statement");
        tokens.Take();
    }
}
