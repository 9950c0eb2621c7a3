using System.Globalization;
using System.Text;

namespace RecoveryVfs.Rows;

/// <summary>One value of a row: a view of the row's bytes, which lasts as long as the row is at hand.</summary>
public readonly ref struct ColumnValue
{
    readonly long bits;
    readonly TextEncoding encoding;

    ColumnValue(ValueKind kind, long bits, ReadOnlySpan<byte> bytes, TextEncoding encoding)
    {
        (Kind, this.bits, this.encoding) = (kind, bits, encoding);
        Bytes = bytes;
    }

    /// <summary>What it is.</summary>
    public ValueKind Kind { get; }

    /// <summary>
    /// A blob's bytes, or a text's in the database's encoding, which nobody has checked; empty for others.
    /// </summary>
    public ReadOnlySpan<byte> Bytes { get; }

    /// <summary>Whether it is NULL.</summary>
    public bool IsNull => Kind == ValueKind.Null;

    /// <summary>The integer.</summary>
    public long Integer => Kind == ValueKind.Integer ? bits : throw Not(ValueKind.Integer);

    /// <summary>The floating-point number.</summary>
    public double Real => Kind == ValueKind.Real ? BitConverter.Int64BitsToDouble(bits) : throw Not(ValueKind.Real);

    /// <summary>The text; what is no valid text in it becomes U+FFFD (<see cref="Bytes"/> has it as it is).</summary>
    public string Text => Kind == ValueKind.Text ? EncodingOf(encoding).GetString(Bytes) : throw Not(ValueKind.Text);

    /// <summary>How <see cref="Bytes"/> of a text are to be read.</summary>
    public TextEncoding TextEncoding => encoding;

    /// <summary>Null, a <see cref="long"/>, a <see cref="double"/>, a <see cref="string"/> or a byte array.</summary>
    public object? ToObject() => Kind switch
    {
        ValueKind.Integer => bits,
        ValueKind.Real => Real,
        ValueKind.Text => Text,
        ValueKind.Blob => Bytes.ToArray(),
        _ => null,
    };

    /// <summary>
    /// Whether both are the same: the same kind and, bit for bit, the same value. Texts of different encodings are
    /// compared as texts.
    /// </summary>
    public bool Same(ColumnValue other)
    {
        if (Kind != other.Kind) return false;
        if (Kind is ValueKind.Integer or ValueKind.Real) return bits == other.bits;
        if (Kind != ValueKind.Text || encoding == other.encoding) return Bytes.SequenceEqual(other.Bytes);
        return Text == other.Text;
    }

    /// <summary>For people: shortened, and not to be parsed.</summary>
    public override string ToString() => Kind switch
    {
        ValueKind.Null => "NULL",
        ValueKind.Integer => bits.ToString(CultureInfo.InvariantCulture),
        ValueKind.Real => Real.ToString("R", CultureInfo.InvariantCulture),
        ValueKind.Text => Text,
        ValueKind.Blob => $"x'{Convert.ToHexString(Bytes[..Math.Min(Bytes.Length, 64)])}'",
        _ => "(not stored)",
    };

    internal static ColumnValue Null => default;
    internal static ColumnValue NotStored => new(ValueKind.NotStored, 0, default, default);

    internal static ColumnValue Of(long value) => new(ValueKind.Integer, value, default, default);
    internal static ColumnValue Of(double value) =>
        new(ValueKind.Real, BitConverter.DoubleToInt64Bits(value), default, default);
    internal static ColumnValue OfText(ReadOnlySpan<byte> bytes, TextEncoding encoding) =>
        new(ValueKind.Text, 0, bytes, encoding);
    internal static ColumnValue OfBlob(ReadOnlySpan<byte> bytes) => new(ValueKind.Blob, 0, bytes, default);

    internal static Encoding EncodingOf(TextEncoding encoding) => encoding switch
    {
        TextEncoding.Utf16LittleEndian => Encoding.Unicode,
        TextEncoding.Utf16BigEndian => Encoding.BigEndianUnicode,
        _ => Encoding.UTF8,
    };

    InvalidOperationException Not(ValueKind wanted) => new($"The value is {Kind}, not {wanted}.");
}
