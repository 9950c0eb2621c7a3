namespace RecoveryVfs.Rows;

/// <summary>The values of a key that is looked up, in the key's order.</summary>
internal abstract class KeyValues
{
    public abstract ColumnValue this[int index] { get; }
}

/// <summary>The key that a row has.</summary>
internal sealed class KeyOfRow(Row row) : KeyValues
{
    public override ColumnValue this[int index] => row[row.Table.Key[index].Column];
}

/// <summary>A key that somebody gives.</summary>
internal sealed class GivenKey : KeyValues
{
    readonly object?[] values;
    readonly TextEncoding encoding;

    public GivenKey(Table table, IReadOnlyList<object?> values)
    {
        encoding = table.Encoding;
        this.values =
            [.. values.Select(v => v is string text
            ? new Encoded(ColumnValue.EncodingOf(encoding).GetBytes(text))
            : v)];
    }

    sealed record Encoded(byte[] Bytes);

    public override ColumnValue this[int index] => values[index] switch
    {
        null => ColumnValue.Null,
        long number => ColumnValue.Of(number),
        double real => ColumnValue.Of(real),
        Encoded text => ColumnValue.OfText(text.Bytes, encoding),
        byte[] blob => ColumnValue.OfBlob(blob),
        var other => throw new ArgumentException($"A key has no value of type {other.GetType().Name}."),
    };
}
