namespace RecoveryVfs.Interop;

/// <summary>The kinds of values that SQLite has, by its own numbers.</summary>
internal enum SqlKind : byte { Integer = 1, Real = 2, Text = 3, Blob = 4, Null = 5 }

/// <summary>A value of a row.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Number">An integer, or the bits of a real number.</param>
/// <param name="Bytes">A text in UTF-8, or a blob.</param>
internal readonly record struct SqlValue(SqlKind Kind, long Number, byte[] Bytes)
{
    public double Real => BitConverter.Int64BitsToDouble(Number);
}

/// <summary>Takes what statements give.</summary>
internal interface ISqlResults
{
    /// <summary>A statement that gives rows begins.</summary>
    void Columns(string[] names);

    void Row(SqlValue[] values);

    /// <summary>A statement has ended. <paramref name="hasRows"/>: it was one that gives rows.</summary>
    void Done(bool hasRows, long changes);
}

/// <summary>What SQLite says of a statement that it refuses, and what we know beyond that.</summary>
internal sealed class SqlFailure(int code, string message) : Exception(message)
{
    /// <summary>SQLite's extended result code.</summary>
    public int Code { get; } = code;
}
