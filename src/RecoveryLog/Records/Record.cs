namespace RecoveryVfs.RecoveryLog.Records;

/// <summary>Bits of a record's flags byte. The numbers are part of the format.</summary>
internal static class RecordFlags
{
    /// <summary>The next record belongs to the same group: they are applied together or not at all.</summary>
    public const byte Continues = 1;
}

/// <summary>
/// A view of one record; the body is borrowed and valid only while the call that handed it out lasts (or as that says).
/// </summary>
internal readonly ref struct Record
{
    /// <summary>Makes a view.</summary>
    public Record(ulong lsn, RecordKind kind, byte flags, long unixTimeMs, uint undurable, ReadOnlySpan<byte> body)
    {
        Lsn = lsn;
        Kind = kind;
        Flags = flags;
        UnixTimeMs = unixTimeMs;
        Undurable = undurable;
        Body = body;
    }

    /// <summary>The record's number.</summary>
    public ulong Lsn { get; }

    /// <summary>What it says.</summary>
    public RecordKind Kind { get; }

    /// <summary>See <see cref="RecordFlags"/>.</summary>
    public byte Flags { get; }

    /// <summary>Whether the next record belongs to the same group.</summary>
    public bool Continues => (Flags & RecordFlags.Continues) != 0;

    /// <summary>When it was appended, in milliseconds since 1970 (UTC).</summary>
    public long UnixTimeMs { get; }

    /// <summary>
    /// How many records, this one included, were not known to be durable when it was appended (saturating).
    /// </summary>
    public uint Undurable { get; }

    /// <summary>The newest LSN that was known to be durable when this was appended, or a lower one.</summary>
    public ulong DurableBefore => Lsn - Math.Min(Lsn, Undurable);

    /// <summary>The body, in the format of its kind.</summary>
    public ReadOnlySpan<byte> Body { get; }
}

/// <summary>Takes one record. What it is called with is valid only during the call.</summary>
internal delegate void RecordTaken(in Record record);

/// <summary>Says something of a record that was not taken yet.</summary>
internal delegate bool RecordAwaited(in Record record);
