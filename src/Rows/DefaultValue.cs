namespace RecoveryVfs.Rows;

/// <summary>
/// What a column that was added later has in the rows from before: the constant after its DEFAULT, or NULL.
/// </summary>
internal sealed class DefaultValue
{
    public static readonly DefaultValue Null = new();

    /// <summary>
    /// What only SQLite could compute. It adds no such column to a table that has rows, so no row lacks it.
    /// </summary>
    public static readonly DefaultValue Unknown = new() { IsUnknown = true };

    readonly long integer;
    readonly double real;
    readonly byte[] bytes = [];

    DefaultValue() { }

    public DefaultValue(long value) => (Kind, integer) = (ValueKind.Integer, value);

    public DefaultValue(double value) => (Kind, real) = (ValueKind.Real, value);

    /// <summary>A text, in the database's encoding, or a blob.</summary>
    public DefaultValue(ValueKind kind, byte[] bytes) => (Kind, this.bytes) = (kind, bytes);

    public ValueKind Kind { get; }

    public bool IsUnknown { get; private init; }

    public ColumnValue Value(TextEncoding encoding) => Kind switch
    {
        ValueKind.Integer => ColumnValue.Of(integer),
        ValueKind.Real => ColumnValue.Of(real),
        ValueKind.Text => ColumnValue.OfText(bytes, encoding),
        ValueKind.Blob => ColumnValue.OfBlob(bytes),
        _ => ColumnValue.Null,
    };
}
