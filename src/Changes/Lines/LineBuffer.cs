using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using RecoveryVfs.Rows;

namespace RecoveryVfs.Changes.Lines;

/// <summary>
/// Bytes of lines, and values among them as <see cref="ValueJson"/> has them: the common ones without a JSON writer and
/// its state, which cost more than the value.
/// </summary>
internal sealed class LineBuffer(int sizeBytes) : IBufferWriter<byte>, IDisposable
{
    const int NumberBytesMax = 40;

    static readonly JavaScriptEncoder encoder = ValueJson.Options.Encoder!;

    readonly Utf8JsonWriter json = new(Stream.Null, ValueJson.Options);
    byte[] bytes = new byte[sizeBytes];

    public int Count { get; private set; }

    public ReadOnlySpan<byte> Written => bytes.AsSpan(0, Count);

    public void Clear() => Count = 0;

    public void Add(ReadOnlySpan<byte> what)
    {
        what.CopyTo(GetSpan(what.Length));
        Count += what.Length;
    }

    public void Add(long number)
    {
        Utf8Formatter.TryFormat(number, GetSpan(NumberBytesMax), out var length);
        Count += length;
    }

    public void Add(ColumnValue value)
    {
        switch (value.Kind)
        {
            case ValueKind.Integer:
                Add(value.Integer);
                break;
            case ValueKind.Text when value.TextEncoding == TextEncoding.Utf8 && IsPlain(value.Bytes):
                AddQuoted(value.Bytes);
                break;
            case ValueKind.Real when double.IsFinite(value.Real):
                AddReal(value.Real);
                break;
            case ValueKind.Text or ValueKind.Blob or ValueKind.Real:
                // What is escaped, encoded, or told as an object.
                ValueJson.Write(Begin(), value);
                json.Flush();
                break;
            default:
                Add("null"u8);
                break;
        }
    }

    /// <summary>A JSON writer that writes one more value here; it is to be flushed.</summary>
    public Utf8JsonWriter Begin()
    {
        json.Reset(this);
        return json;
    }

    /// <summary>Whether a text is valid UTF-8 of which nothing has to be escaped.</summary>
    static bool IsPlain(ReadOnlySpan<byte> text) => encoder.FindFirstCharacterToEncodeUtf8(text) < 0;

    void AddQuoted(ReadOnlySpan<byte> text)
    {
        var to = GetSpan(text.Length + 2);
        to[0] = (byte)'"';
        text.CopyTo(to[1..]);
        to[text.Length + 1] = (byte)'"';
        Count += text.Length + 2;
    }

    /// <summary>Told from an integer by its point or exponent.</summary>
    void AddReal(double value)
    {
        var to = GetSpan(NumberBytesMax);
        value.TryFormat(to, out var length, "R", CultureInfo.InvariantCulture);
        Count += length;
        if (!to[..length].ContainsAny((byte)'.', (byte)'E')) Add(".0"u8);
    }

    public Span<byte> GetSpan(int sizeHint = 0)
    {
        var wanted = Math.Max(sizeHint, 1);
        if (bytes.Length - Count < wanted)
            Array.Resize(ref bytes, (int)Math.Min(Math.Max(bytes.Length * 2L, (long)Count + wanted), Array.MaxLength));
        return bytes.AsSpan(Count);
    }

    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        GetSpan(sizeHint);
        return bytes.AsMemory(Count);
    }

    public void Advance(int count) => Count += count;

    public void Dispose() => json.Dispose();
}
