using System.Buffers.Binary;

namespace RecoveryVfs.RecoveryLog.Records;

/// <summary>
/// What a writer notes when its clock goes back: commit times never do, so the commits after it bear the time that the
/// clock had shown, until the clock has come there again. The body of a Noted record: "RVFSCLK\n", the time that is
/// kept u64, the time that the clock showed u64 (unix milliseconds).
/// </summary>
internal readonly record struct ClockNote(long KeptMs, long ShownMs)
{
    /// <summary>Bytes of the body.</summary>
    public const int SizeBytes = 24;

    static ReadOnlySpan<byte> Magic => "RVFSCLK\n"u8;

    /// <summary>Writes the body.</summary>
    public void Write(Span<byte> body)
    {
        Magic.CopyTo(body);
        BinaryPrimitives.WriteInt64LittleEndian(body[8..], KeptMs);
        BinaryPrimitives.WriteInt64LittleEndian(body[16..], ShownMs);
    }

    /// <summary>Reads the note that a record is; null for any other record.</summary>
    public static ClockNote? Read(in Record record) =>
        record.Kind == RecordKind.Noted && record.Body.Length == SizeBytes && record.Body[..8].SequenceEqual(Magic)
            ? new ClockNote(BinaryPrimitives.ReadInt64LittleEndian(record.Body[8..]),
            BinaryPrimitives.ReadInt64LittleEndian(record.Body[16..])) : null;
}
