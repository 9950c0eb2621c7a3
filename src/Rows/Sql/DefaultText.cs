using System.Globalization;

namespace RecoveryVfs.Rows.Sql;

/// <summary>The text after DEFAULT, as the value that SQLite makes of it.</summary>
internal static class DefaultText
{
    /// <summary>
    /// The value of <paramref name="sql"/>, stored in a column of that affinity. SQLite adds a column to a table that
    /// has rows only with a constant: a literal, with signs and parentheses, or a CAST of one.
    /// </summary>
    public static DefaultValue Of(string? sql, Affinity affinity, TextEncoding encoding)
    {
        if (sql is null) return DefaultValue.Null;
        var tokens = new Tokens(sql);
        var negative = false;
        while (tokens.Current.Kind == TokenKind.Sign
            && (tokens.IsSign('(') || tokens.IsSign('+') || tokens.IsSign('-')))
        {
            negative ^= tokens.IsSign('-');
            tokens.Take();
        }
        var token = tokens.Take();
        if (token.Kind == TokenKind.Word && tokens.IsSign('('))
            return negative ? DefaultValue.Unknown : Cast(tokens.TakeParenthesis(), affinity, encoding);
        while (tokens.TryTakeSign(')')) { }
        if (tokens.Current.Kind != TokenKind.End) return DefaultValue.Unknown;
        return token.Kind switch
        {
            TokenKind.Number => OfNumber(tokens.RawOf(token).ToString(), negative, affinity, encoding),
            TokenKind.Blob => OfBlob(tokens.RawOf(token)),
            TokenKind.Text or TokenKind.Quoted => OfText(tokens.Unquoted(token), negative, affinity, encoding),
            TokenKind.Word => OfWord(tokens.RawOf(token).ToString(), affinity, encoding),
            _ => DefaultValue.Unknown,
        };
    }

    /// <summary>
    /// Of a CAST, the literal with the affinity of the type; for text that only begins with a number, that is not what
    /// SQLite makes of it.
    /// </summary>
    static DefaultValue Cast(string inner, Affinity affinity, TextEncoding encoding)
    {
        var at = inner.LastIndexOf(" AS ", StringComparison.OrdinalIgnoreCase);
        if (at < 0) return DefaultValue.Unknown;
        var to = TableFactory.AffinityOf(inner[(at + 4)..].Trim(), strict: false);
        var value = Of(inner[..at], to, encoding);
        var fits = (value.Kind, to) is (ValueKind.Integer, Affinity.Integer or Affinity.Numeric)
            or (ValueKind.Real, Affinity.Real or Affinity.Numeric) or
            (ValueKind.Text, Affinity.Text) or (ValueKind.Blob, Affinity.Blob) or (ValueKind.Null, _);
        if (!fits || value.IsUnknown) return DefaultValue.Unknown;
        return (value.Kind, affinity) switch
        {
            (ValueKind.Integer, Affinity.Integer or Affinity.Numeric or Affinity.Blob)
                or (ValueKind.Real, Affinity.Real or Affinity.Blob) => value,
            (ValueKind.Text, Affinity.Text or Affinity.Blob) or (ValueKind.Blob or ValueKind.Null, _) => value,
            _ => DefaultValue.Unknown,
        };
    }

    static DefaultValue OfWord(string word, Affinity affinity, TextEncoding encoding) => word.ToUpperInvariant() switch
    {
        "NULL" => DefaultValue.Null,
        "CURRENT_TIME" or "CURRENT_DATE" or "CURRENT_TIMESTAMP" => DefaultValue.Unknown,
        "TRUE" => OfNumber("1", false, affinity, encoding),
        "FALSE" => OfNumber("0", false, affinity, encoding),
        _ => OfText(word, false, affinity, encoding), // A bare word is a text here.
    };

    static DefaultValue OfBlob(ReadOnlySpan<char> token)
    {
        var hex = token.Length >= 3 ? token[2..^1] : default;
        return new DefaultValue(ValueKind.Blob, hex.Length % 2 == 0 ? Convert.FromHexString(hex) : []);
    }

    static DefaultValue OfNumber(string token, bool negative, Affinity affinity, TextEncoding encoding)
    {
        var digits = token.Replace("_", "", StringComparison.Ordinal);
        var signed = (negative ? "-" : "") + digits;
        if (digits.StartsWith("0x", StringComparison.OrdinalIgnoreCase))
        {
            if (!ulong.TryParse(digits.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture,
                out var hex))
                return DefaultValue.Unknown;
            signed = (negative ? -(long)hex : (long)hex).ToString(CultureInfo.InvariantCulture);
        }
        // SQLite keeps a number as it is written when the column holds texts.
        if (affinity == Affinity.Text) return OfText(signed, false, affinity, encoding);
        return Numeric(signed, affinity) ?? OfText(signed, false, Affinity.Text, encoding);
    }

    static DefaultValue OfText(string text, bool negative, Affinity affinity, TextEncoding encoding)
    {
        if (negative) return Numeric("-" + text.Trim(), Affinity.Numeric) ?? OfNumber("0", false, affinity, encoding);
        if (affinity is Affinity.Numeric or Affinity.Integer or Affinity.Real
            && Numeric(text.Trim(' ', '\t', '\n', '\v', '\f', '\r'), affinity) is { } number)
            return number;
        return new DefaultValue(ValueKind.Text, ColumnValue.EncodingOf(encoding).GetBytes(text));
    }

    static DefaultValue? Numeric(string text, Affinity affinity)
    {
        var isInteger =
            long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var integer);
        if (isInteger && affinity != Affinity.Real)
            return new DefaultValue(integer);
        const NumberStyles Float = NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint
            | NumberStyles.AllowExponent;
        if (!double.TryParse(text, Float, CultureInfo.InvariantCulture, out var real)
            || !text.AsSpan().ContainsAnyInRange('0', '9'))
            return null;
        var whole = affinity is Affinity.Numeric or Affinity.Integer && real == Math.Floor(real)
            && Math.Abs(real) < 9.0e15;
        return whole
            ? new DefaultValue((long)real)
            : new DefaultValue(real);
    }
}
