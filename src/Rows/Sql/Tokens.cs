namespace RecoveryVfs.Rows.Sql;

/// <summary>
/// Takes a statement apart as SQLite does. It reads no more than one token ahead, and never fails: what it cannot name
/// is a sign.
/// </summary>
internal sealed class Tokens
{
    readonly string sql;
    int at;

    public Tokens(string sql)
    {
        this.sql = sql;
        Take();
    }

    public Token Current { get; private set; }

    /// <summary>The one taken last.</summary>
    public Token Previous { get; private set; }

    public string Raw(int start, int end) => sql[start..end];

    public ReadOnlySpan<char> RawOf(Token token) => sql.AsSpan(token.Start, token.Length);

    public Token Take()
    {
        Previous = Current;
        SkipBlanks();
        Current = at >= sql.Length ? new Token(TokenKind.End, sql.Length, 0) : Next();
        at = Current.End;
        return Previous;
    }

    public bool Is(string word) =>
        Current.Kind == TokenKind.Word && RawOf(Current).Equals(word, StringComparison.OrdinalIgnoreCase);

    public bool IsSign(char sign) => Current.Kind == TokenKind.Sign && sql[Current.Start] == sign;

    public bool TryTake(string word)
    {
        if (!Is(word)) return false;
        Take();
        return true;
    }

    public bool TryTakeSign(char sign)
    {
        if (!IsSign(sign)) return false;
        Take();
        return true;
    }

    /// <summary>A name, whatever its quotes.</summary>
    public string TakeName()
    {
        if (Current.Kind is not (TokenKind.Word or TokenKind.Quoted or TokenKind.Text)) throw Unexpected("a name");
        return Unquoted(Take());
    }

    /// <summary>The token's text; without its quotes, and with each doubled one inside made one.</summary>
    public string Unquoted(Token token)
    {
        var raw = sql.Substring(token.Start, token.Length);
        return token.Kind is TokenKind.Quoted or TokenKind.Text ? Unquoted(raw) : raw;
    }

    public static string Unquoted(string raw)
    {
        if (raw.Length < 2 || raw[0] is not ('"' or '\'' or '`' or '[')) return raw;
        if (raw[0] == '[') return raw[1..(raw[^1] == ']' ? ^1 : ^0)];
        var quote = raw[0].ToString();
        return raw[1..(raw[^1] == raw[0] ? ^1 : ^0)].Replace(quote + quote, quote, StringComparison.Ordinal);
    }

    /// <summary>From one parenthesis past its partner; returns what is between.</summary>
    public string TakeParenthesis()
    {
        if (!IsSign('(')) throw Unexpected("'('");
        var start = Take().End;
        for (var depth = 1; ;)
        {
            if (Current.Kind == TokenKind.End) throw Unexpected("')'");
            var token = Take();
            if (token.Kind != TokenKind.Sign) continue;
            if (sql[token.Start] == '(') depth++;
            if (sql[token.Start] == ')' && --depth == 0) return sql[start..token.Start];
        }
    }

    public FormatException Unexpected(string wanted) =>
        new($"{wanted} is missing at character {Current.Start} of \"{(sql.Length <= 200 ? sql : sql[..200] + "..")}\"");

    void SkipBlanks()
    {
        while (at < sql.Length)
        {
            if (sql[at] is ' ' or '\t' or '\n' or '\f' or '\r')
            {
                at++;
            }
            else if (sql[at] == '-' && Peek(1) == '-')
            {
                var end = sql.IndexOf('\n', at);
                at = end < 0 ? sql.Length : end + 1;
            }
            else if (sql[at] == '/' && Peek(1) == '*')
            {
                var end = at + 2 >= sql.Length ? -1 : sql.IndexOf("*/", at + 2, StringComparison.Ordinal);
                at = end < 0 ? sql.Length : end + 2;
            }
            else
            {
                return;
            }
        }
    }

    Token Next()
    {
        var first = sql[at];
        if (first is 'x' or 'X' && Peek(1) == '\'') return new Token(TokenKind.Blob, at, Until('\'', at + 2) - at);
        if (first is '\'') return new Token(TokenKind.Text, at, Until('\'', at + 1) - at);
        if (first is '"' or '`') return new Token(TokenKind.Quoted, at, Until(first, at + 1) - at);
        if (first is '[')
        {
            var end = sql.IndexOf(']', at);
            return new Token(TokenKind.Quoted, at, (end < 0 ? sql.Length : end + 1) - at);
        }
        if (char.IsAsciiDigit(first) || (first == '.' && char.IsAsciiDigit(Peek(1))))
            return new Token(TokenKind.Number, at, NumberEnd() - at);
        if (!IsOfWord(first)) return new Token(TokenKind.Sign, at, 1);
        var last = at + 1;
        while (last < sql.Length && IsOfWord(sql[last])) last++;
        return new Token(TokenKind.Word, at, last - at);
    }

    int Until(char quote, int from)
    {
        for (var i = from; i < sql.Length; i++)
        {
            if (sql[i] != quote) continue;
            if (i + 1 < sql.Length && sql[i + 1] == quote) i++;
            else return i + 1;
        }
        return sql.Length;
    }

    int NumberEnd()
    {
        var i = at;
        while (i < sql.Length && (IsOfWord(sql[i]) || sql[i] == '.' || (sql[i] is '+' or '-' && IsExponent(i - 1))))
            i++;
        return i;
    }

    bool IsExponent(int i) => sql[i] is 'e' or 'E' && !(sql[at] == '0' && Peek(1) is 'x' or 'X');

    char Peek(int ahead) => at + ahead < sql.Length ? sql[at + ahead] : '\0';

    static bool IsOfWord(char c) => char.IsAsciiLetterOrDigit(c) || c is '_' or '$' || c >= 0x80;
}
