namespace RecoveryVfs.Rows.Sql;

internal enum TokenKind
{
    End,

    /// <summary>A word without quotes: a keyword or a name.</summary>
    Word,

    /// <summary>A name in "..", [..] or `..`.</summary>
    Quoted,

    /// <summary>'..', which SQLite takes for a name, too, where only a name can be.</summary>
    Text,

    /// <summary>x'..'.</summary>
    Blob,
    Number,
    Sign,
}

/// <summary>One piece of a statement, and where it is in it.</summary>
internal readonly record struct Token(TokenKind Kind, int Start, int Length)
{
    public int End => Start + Length;
}
