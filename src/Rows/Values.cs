using System.Text;

namespace RecoveryVfs.Rows;

/// <summary>SQLite's order of values: NULL, numbers, texts by a collation, blobs.</summary>
internal static class Values
{
    public static bool Knows(string collation) =>
        Is(collation, "BINARY") || Is(collation, "NOCASE") || Is(collation, "RTRIM");

    public static int Compare(ColumnValue a, ColumnValue b, string collation)
    {
        var (classA, classB) = (Class(a.Kind), Class(b.Kind));
        if (classA != classB) return classA.CompareTo(classB);
        return classA switch
        {
            0 => 0,
            1 => CompareNumbers(a, b),
            2 => CompareTexts(a, b, collation),
            _ => a.Bytes.SequenceCompareTo(b.Bytes),
        };
    }

    static int Class(ValueKind kind) => kind switch
    {
        ValueKind.Integer or ValueKind.Real => 1,
        ValueKind.Text => 2,
        ValueKind.Blob => 3,
        _ => 0,
    };

    static int CompareNumbers(ColumnValue a, ColumnValue b)
    {
        if (a.Kind == ValueKind.Integer)
            return b.Kind == ValueKind.Integer ? a.Integer.CompareTo(b.Integer) : Compare(a.Integer, b.Real);
        return b.Kind == ValueKind.Integer ? -Compare(b.Integer, a.Real) : a.Real.CompareTo(b.Real);
    }

    /// <summary>Exact, where a conversion of the integer would round.</summary>
    static int Compare(long integer, double real)
    {
        if (real < -9223372036854775808.0) return 1;
        if (real >= 9223372036854775808.0) return -1;
        var whole = (long)real;
        return integer != whole ? integer.CompareTo(whole) : ((double)integer).CompareTo(real);
    }

    static int CompareTexts(ColumnValue a, ColumnValue b, string collation)
    {
        if (Is(collation, "NOCASE")) return CompareWithoutCase(Utf8(a), Utf8(b));
        if (Is(collation, "RTRIM")) return Utf8(a).TrimEnd((byte)' ').SequenceCompareTo(Utf8(b).TrimEnd((byte)' '));
        return a.Bytes.SequenceCompareTo(b.Bytes);
    }

    /// <summary>NOCASE and RTRIM are defined on UTF-8 only; SQLite converts for them.</summary>
    static ReadOnlySpan<byte> Utf8(ColumnValue text) =>
        text.TextEncoding == TextEncoding.Utf8 ? text.Bytes : Encoding.UTF8.GetBytes(text.Text);

    static int CompareWithoutCase(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b)
    {
        var length = Math.Min(a.Length, b.Length);
        for (var i = 0; i < length; i++)
        {
            var difference = Lower(a[i]) - Lower(b[i]);
            if (difference != 0) return difference;
        }
        return a.Length.CompareTo(b.Length);
    }

    static int Lower(byte c) => c is >= (byte)'A' and <= (byte)'Z' ? c + 32 : c;

    static bool Is(string collation, string name) => collation.Equals(name, StringComparison.OrdinalIgnoreCase);
}
