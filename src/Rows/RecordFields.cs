using System.Buffers.Binary;

namespace RecoveryVfs.Rows;

/// <summary>
/// Where the fields of one record are: header length (varint), one serial type a field (varint each), then the fields.
/// <code>
/// 0 NULL   1..6 integer of 1, 2, 3, 4, 6, 8 bytes   7 double   8, 9 the integers 0 and 1   even from 12: blob   odd from 13: text
/// </code>
/// </summary>
internal sealed class RecordFields
{
    int[] starts = new int[16];
    uint[] types = new uint[16];

    public int Count { get; private set; }

    /// <summary>Takes a record in; <paramref name="page"/> is where it is, for errors.</summary>
    public void Parse(ReadOnlySpan<byte> record, uint page)
    {
        Count = 0;
        var at = 0;
        if (!Varint.TryRead(record, ref at, out var headerBytes) || headerBytes > (ulong)record.Length
            || headerBytes < (ulong)at)
            throw new DatabaseDamagedException(page, "a record's header is longer than the record");
        var header = record[..(int)headerBytes];
        var start = (long)headerBytes;
        var n = 0;
        while (at < header.Length)
        {
            if (!Varint.TryRead(header, ref at, out var type))
                throw new DatabaseDamagedException(page, "a record's header ends within a field's type");
            if (n == types.Length) Grow();
            starts[n] = (int)start;
            types[n++] = (uint)type;
            start += Length(type, page);
            if (start > record.Length)
                throw new DatabaseDamagedException(page, $"field {n} of a record goes on past the record's end");
        }
        if (start != record.Length)
            throw new DatabaseDamagedException(page,
                $"a record has {record.Length} bytes, and its header tells of {start}");
        Count = n;
    }

    /// <summary>The field's value; it must be one of <see cref="Count"/>.</summary>
    public ColumnValue Value(ReadOnlySpan<byte> record, int field, TextEncoding encoding)
    {
        var type = types[field];
        if (type >= 12)
        {
            var bytes = record.Slice(starts[field], (int)((type - 12) / 2));
            return (type & 1) == 0 ? ColumnValue.OfBlob(bytes) : ColumnValue.OfText(bytes, encoding);
        }
        if (type == 0) return ColumnValue.Null;
        if (type == 7) return ColumnValue.Of(BinaryPrimitives.ReadDoubleBigEndian(record[starts[field]..]));
        return ColumnValue.Of(Integer(record[starts[field]..], type));
    }

    static long Integer(ReadOnlySpan<byte> from, uint type) => type switch
    {
        1 => (sbyte)from[0],
        2 => BinaryPrimitives.ReadInt16BigEndian(from),
        3 => ((sbyte)from[0] << 16) | BinaryPrimitives.ReadUInt16BigEndian(from[1..]),
        4 => BinaryPrimitives.ReadInt32BigEndian(from),
        5 => ((long)BinaryPrimitives.ReadInt16BigEndian(from) << 32) | BinaryPrimitives.ReadUInt32BigEndian(from[2..]),
        6 => BinaryPrimitives.ReadInt64BigEndian(from),
        8 => 0,
        _ => 1,
    };

    static long Length(ulong type, uint page) => type switch
    {
        >= 12 and <= uint.MaxValue => (long)(type - 12) / 2,
        <= 4 => (long)type,
        5 => 6,
        6 or 7 => 8,
        8 or 9 => 0,
        _ => throw new DatabaseDamagedException(page, $"a record has a field of type {type}, which means nothing"),
    };

    void Grow()
    {
        Array.Resize(ref starts, starts.Length * 2);
        Array.Resize(ref types, types.Length * 2);
    }
}
