using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Log;

/// <summary>What stands behind the place at which a log seems to end: whole records of writes that were cut.</summary>
internal static class LeftoverRecords
{
    /// <summary>
    /// Whether the log may simply end at an offset, and where the last record behind it ends. It may when no record
    /// beyond it verifies, or only such as do not say that the first record to be cut (<paramref name="cutLsn"/>) was
    /// durable, that is, when all of it may be a window that was never synced.
    /// </summary>
    public static (bool MayEndThere, long End) Search(SegmentReader reader, long offset, ulong cutLsn)
    {
        var end = offset;
        while (offset + RecordFormat.HeaderBytes <= reader.FileBytes)
        {
            var bytes = reader.BytesAt(offset, RecordFormat.HeaderBytes);
            var next = FirstCandidate(bytes, cutLsn, (ulong)(reader.FileBytes / RecordFormat.HeaderBytes));
            if (next < 0)
            {
                // The last bytes of the window may be the start of a header.
                offset += (bytes.Length - RecordFormat.HeaderBytes + RecordFormat.Alignment) & -RecordFormat.Alignment;
                continue;
            }
            offset += next;
            if (!reader.TryReadAt(offset, out var record, out var size))
            {
                offset += RecordFormat.Alignment;
                continue;
            }
            if (record.DurableBefore >= cutLsn) return (false, end);
            offset += size;
            end = offset;
        }
        return (true, end);
    }

    /// <summary>
    /// The first offset at which a header might stand with an LSN that could follow; -1 when there is none.
    /// </summary>
    static int FirstCandidate(ReadOnlySpan<byte> bytes, ulong cutLsn, ulong mostRecords)
    {
        for (var i = 0; i + RecordFormat.HeaderBytes <= bytes.Length; i += RecordFormat.Alignment)
        {
            var lsn = RecordFormat.Peek(bytes[i..]).Lsn;
            if (lsn - cutLsn <= mostRecords) return i;
            if (lsn != 0) continue;
            // Most of what is searched are zeros: on to the first offset whose LSN would hold the next other byte.
            var zeros = bytes[(i + 8)..].IndexOfAnyExcept((byte)0);
            if (zeros < 0) return -1;
            i += ((zeros - RecordFormat.Alignment) & -RecordFormat.Alignment) - RecordFormat.Alignment;
        }
        return -1;
    }
}
