using System.Buffers;
using System.Text;
using System.Text.Json;
using RecoveryVfs.Changes.Lines;
using RecoveryVfs.Rows;

namespace RecoveryVfs.Changes.Tests;

/// <summary>Values that are written without a JSON writer are, byte for byte, what the writer makes of them.</summary>
public sealed class LineBufferTests
{
    static readonly string[] texts =
        ["", "plain", "with \"quotes\" and \\", "tab\tand\nline", "\u0001", "\u007f", "äöü", "日本", "😀", "\u2028",
            "<script>&'+`", "\ue000", "\uffff", "long " + new string('x', 100_000)];

    static string ByWriter(ColumnValue value)
    {
        var bytes = new ArrayBufferWriter<byte>();
        using var json = new Utf8JsonWriter(bytes, ValueJson.Options);
        ValueJson.Write(json, value);
        json.Flush();
        return Encoding.UTF8.GetString(bytes.WrittenSpan);
    }

    static void Check(ColumnValue value)
    {
        using var buffer = new LineBuffer(1);
        buffer.Add("["u8);
        buffer.Add(value);
        buffer.Add(","u8);
        buffer.Add(value);
        var expected = ByWriter(value);
        Assert.Equal($"[{expected},{expected}", Encoding.UTF8.GetString(buffer.Written));
    }

    [Fact]
    public void Texts_in_every_encoding()
    {
        foreach (var text in texts)
        {
            Check(ColumnValue.OfText(Encoding.UTF8.GetBytes(text), TextEncoding.Utf8));
            Check(ColumnValue.OfText(Encoding.Unicode.GetBytes(text), TextEncoding.Utf16LittleEndian));
            Check(ColumnValue.OfText(Encoding.BigEndianUnicode.GetBytes(text), TextEncoding.Utf16BigEndian));
        }
    }

    [Fact]
    public void Texts_that_are_none()
    {
        foreach (var bytes in (byte[][])[[0xff], [0xc0, 0x80], [0x61, 0xe2, 0x82], [0xed, 0xa0, 0x80], [0]])
            Check(ColumnValue.OfText(bytes, TextEncoding.Utf8));
    }

    [Fact]
    public void Numbers_blobs_and_NULL()
    {
        foreach (var number in (long[])[0, 1, -1, long.MinValue, long.MaxValue, 1L << 53])
            Check(ColumnValue.Of(number));
        foreach (var number in (double[])[0.0, -0.0, 1, -1, 0.1, 1e300, 5e-324, double.MaxValue, 1e15, 1e16, 1 / 3.0,
            double.PositiveInfinity, double.NegativeInfinity])
            Check(ColumnValue.Of(number));
        Check(ColumnValue.OfBlob([]));
        Check(ColumnValue.OfBlob([0, 1, 2, 255]));
        Check(ColumnValue.Null);
        Check(ColumnValue.NotStored);
    }

    [Fact, Trait(Seeds.Kind, Seeds.Random)]
    public void Anything_at_random() => Seeds.RunFor(1, Random.Shared.Next(1 << 30), (seed, _) =>
    {
        var random = new Random(seed);
        for (var i = 0; i < 200; i++)
        {
            var bytes = new byte[random.Next(40)];
            random.NextBytes(bytes);
            // Mostly letters, so that many texts are valid.
            for (var b = 0; b < bytes.Length; b++) if (random.Next(60) > 0) bytes[b] = (byte)(32 + bytes[b] % 96);
            Check(ColumnValue.OfText(bytes, TextEncoding.Utf8));
            Check(ColumnValue.Of(random.NextInt64(long.MinValue, long.MaxValue)));
            var real = BitConverter.Int64BitsToDouble(random.NextInt64(long.MinValue, long.MaxValue));
            if (!double.IsNaN(real)) Check(ColumnValue.Of(real));
        }
    });

    [Fact]
    public void Values_without_anything_to_escape_are_written_without_memory_of_their_own()
    {
        using var buffer = new LineBuffer(64 << 10);
        var text = "some text"u8.ToArray();
        void Row()
        {
            buffer.Clear();
            buffer.Add(ColumnValue.Of(1_234_567L));
            buffer.Add(ColumnValue.Of(0.125));
            buffer.Add(ColumnValue.OfText(text, TextEncoding.Utf8));
            buffer.Add(ColumnValue.Null);
        }
        for (var i = 0; i < 100; i++) Row();
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++) Row();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }
}
