namespace RecoveryVfs.Rows.Sql;

/// <summary>
/// A schema's own text as a statement that is run elsewhere. SQLite reads the first statement of the text and no
/// further, so a database that somebody made may have anything behind it: other statements, or commands of a shell. Of
/// all that nothing is passed on.
/// </summary>
internal static class SchemaStatement
{
    /// <summary>The first statement, without its semicolon. Throws when it has no end.</summary>
    public static string Of(string sql)
    {
        var tokens = new Tokens(sql);
        var isTrigger = false;
        var end = 0;
        for (var count = 0; tokens.Current.Kind != TokenKind.End; count++)
        {
            var afterSemicolon = count > 0 && tokens.RawOf(tokens.Previous) is ";";
            if (tokens.IsSign(';') && !isTrigger) break;
            isTrigger |= count < 3 && tokens.Is("TRIGGER");
            var ends = isTrigger && afterSemicolon && tokens.Is("END");
            ThrowUnlessClosed(tokens, tokens.Current);
            end = tokens.Take().End;
            if (ends) return sql[..end];
        }
        return !isTrigger && end > 0 ? sql[..end] : throw Unfinished();
    }

    static void ThrowUnlessClosed(Tokens tokens, Token token)
    {
        if (token.Kind is not (TokenKind.Text or TokenKind.Quoted or TokenKind.Blob)) return;
        var raw = tokens.RawOf(token);
        var first = token.Kind == TokenKind.Blob ? 1 : 0;
        if (raw.Length < first + 2 || raw[^1] != (raw[first] == '[' ? ']' : raw[first])) throw Unfinished();
    }

    static DatabaseDamagedException Unfinished()
        => new(1, "a statement of its schema has no end, and would take what follows it for its own");
}
