using System.Diagnostics;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Log;

/// <summary>
/// What opening a log finds: lists and verifies the segments, replays whole groups in order, and decides about the
/// tail. Changes nothing; <see cref="LocalLog"/> makes the repairs.
/// </summary>
internal sealed class LogRecovery(ILogDisk disk, string directory, LogOptions options)
{
    internal List<LogSegment> Segments { get; private set; } = [];

    /// <summary>
    /// Older segments that no replay needs and that are separated from the rest by a hole: leftovers of an interrupted
    /// drop.
    /// </summary>
    internal List<LogSegment> Stranded { get; } = [];

    /// <summary>Files that are neither segments nor of use as spares.</summary>
    internal List<string> Litter { get; } = [];

    internal List<(string Path, long Bytes)> Spares { get; } = [];

    internal int NextSpare { get; private set; }

    /// <summary>With <see cref="LogOptions.UpToDamage"/>: the damage that the log ends at.</summary>
    internal RecoveryException? EndsAt { get; private set; }

    /// <summary>The last record of the last whole group.</summary>
    internal ulong LastLsn { get; private set; }

    /// <summary>The newest time of the records that were read; 0 when there were none.</summary>
    internal long LastTimeMs { get; private set; }

    /// <summary>Where the last whole group ends in the newest segment.</summary>
    internal long End { get; private set; } = SegmentFormat.HeaderBytes;

    /// <summary>Where the last record ends that verifies but was cut; <see cref="End"/> when there is none.</summary>
    internal long LeftoverEnd { get; private set; } = SegmentFormat.HeaderBytes;

    /// <summary>Records of the newest segment beyond this LSN may be in the operating system's memory only.</summary>
    internal ulong KnownDurable { get; private set; }

    /// <summary>The file beside the segments says that nothing was written after what it vouches for.</summary>
    internal bool IsMarkedClosed => vouched.IsClosed;

    // Durable, says the file beside the segments.
    (Guid LogId, ulong Lsn, bool IsClosed) vouched;
    ulong vouchedLsn;

    internal void Discover()
    {
        // First: somebody may be writing, and what it vouches for is then in the segments that are listed.
        using (var mark = new DurableMark(disk, directory)) vouched = mark.Read();
        foreach (var name in disk.List(directory))
        {
            var path = Path.Combine(directory, name);
            if (SegmentFormat.TryParseFileName(name, out var firstLsn))
                AddSegment(path, firstLsn);
            else if (name.StartsWith("spare-", StringComparison.Ordinal))
                NoteSpare(path, name.AsSpan(6));
        }
        Segments.Sort(static (a, b) => a.FirstLsn.CompareTo(b.FirstLsn));
        var wanted = Segments.Count > 0 ? options.SegmentBytesAfter(Segments[^1].FileBytes) : options.SegmentBytes;
        var useless = Spares.Where((spare, i) => spare.Bytes != wanted || i >= options.SpareSegments).ToArray();
        Litter.AddRange(useless.Select(spare => spare.Path));
        Spares.RemoveAll(useless.Contains);
    }

    void NoteSpare(string path, ReadOnlySpan<char> number)
    {
        var digits = number.EndsWith(".new") ? number[..^4] : number;
        if (int.TryParse(digits, out var n) && n < int.MaxValue)
            NextSpare = Math.Max(NextSpare, n + 1);
        if (options.ReadOnly)
            return;
        using var spare = disk.Open(path, LogFileMode.Read);
        if (digits.Length == number.Length)
            Spares.Add((path, spare.SizeBytes));
        else
            Litter.Add(path);
    }

    void AddSegment(string path, ulong firstLsn)
    {
        try
        {
            Segments.Add(ReadHeader(path, firstLsn));
        }
        catch (RecoveryException e) when (options.UpToDamage && e.Error == RecoveryError.Corrupt)
        {
            EndsAt ??= e;
        }
    }

    LogSegment ReadHeader(string path, ulong firstLsn)
    {
        using var file = disk.Open(path, LogFileMode.Read);
        Span<byte> bytes = stackalloc byte[SegmentFormat.HeaderBytes];
        var header = SegmentFormat.Read(bytes[..file.Read(0, bytes)], path);
        if (header.FirstLsn != firstLsn)
            throw Damage(path, firstLsn,
                $"{path} says that it starts at LSN {header.FirstLsn}, not as its name says at {firstLsn}");
        if (options.LogId is { } expected && header.LogId != expected)
            throw Damage(path, null,
                $"{path} belongs to the log {header.LogId}, not to {expected}: files of two stores are mixed");
        return new LogSegment(path, header, file.SizeBytes);
    }

    /// <summary>
    /// Checks that the segments follow one another, and reads the records from <paramref name="replayFrom"/> on.
    /// </summary>
    internal void Replay(ulong replayFrom, RecordTaken? replay)
    {
        LinkSegments(replayFrom);
        if (options.UpToDamage) replayFrom = Math.Max(replayFrom, Segments[0].FirstLsn);
        vouchedLsn = vouched.LogId == Segments[^1].Header.LogId ? vouched.Lsn : 0;
        if (Segments[0].FirstLsn > replayFrom)
            throw Damage(directory, replayFrom,
                $"The log in {directory} starts at LSN {Segments[0].FirstLsn}, but replay needs it from {replayFrom} "
                    + "on: a segment file is missing");
        var first = Segments.FindLastIndex(s => s.FirstLsn <= replayFrom);
        for (var i = first; i < Segments.Count; i++)
            ReplaySegment(Segments[i], isLast: i == Segments.Count - 1, replayFrom, replay);
        if (LastLsn + 1 < replayFrom)
            throw Damage(Segments[^1].Path, LastLsn + 1,
                $"The log in {directory} ends at LSN {LastLsn} in {Segments[^1].Path} at offset {End}, "
                + $"but LSN {replayFrom - 1} was already applied: its end is missing or damaged");
    }

    void LinkSegments(ulong replayFrom)
    {
        for (var i = Segments.Count - 1; i > 0; i--)
        {
            var (older, newer) = (Segments[i - 1], Segments[i]);
            if (older.Header.LogId != newer.Header.LogId)
                throw Damage(newer.Path, null,
                    $"{older.Path} and {newer.Path} belong to different logs ({older.Header.LogId} and "
                        + $"{newer.Header.LogId})");
            if (options.UpToDamage && older.Header.Number + 1 != newer.Header.Number)
            {
                EndAtDamage(older, Damage(newer.Path, newer.FirstLsn,
                    $"Segments are missing between {older.Path} and {newer.Path}"));
                continue;
            }
            if (older.Header.Number + 1 != newer.Header.Number)
            {
                if (newer.FirstLsn > replayFrom)
                    throw Damage(directory, replayFrom,
                        $"Between {older.Path} (segment {older.Header.Number}) and {newer.Path} (segment "
                        + $"{newer.Header.Number}) segments are missing, and replay needs them from LSN {replayFrom} "
                            + "on");
                Stranded.AddRange(Segments.GetRange(0, i));
                Segments = Segments.GetRange(i, Segments.Count - i);
                return;
            }
            if (older.Header.Epoch > newer.Header.Epoch)
                throw Damage(newer.Path, newer.FirstLsn,
                    $"{newer.Path} is of epoch {newer.Header.Epoch}, older than that of {older.Path} before it "
                        + $"({older.Header.Epoch})");
            older.LastLsn = newer.FirstLsn - 1;
        }
    }

    void ReplaySegment(LogSegment segment, bool isLast, ulong replayFrom, RecordTaken? replay)
    {
        using var reader = new SegmentReader(disk.Open(segment.Path, LogFileMode.Read), segment.Seed, 1 << 20);
        long offset = SegmentFormat.HeaderBytes, groupStart = -1;
        ulong expected = segment.FirstLsn, groupLsn = 0;
        KnownDurable = expected - 1;
        while (true)
        {
            if (!isLast && expected > segment.LastLsn)
                break;
            if (!reader.TryReadAt(offset, out var record, out var size) || record.Lsn != expected)
            {
                var cutLsn = groupStart >= 0 ? groupLsn : expected;
                if (isLast && EndsThere(reader, offset, cutLsn)) break;
                // Somebody may be writing the log that is read here: what was not there a moment ago may be now.
                reader.Invalidate();
                if (options.ReadOnly && reader.TryReadAt(offset, out record, out _) && record.Lsn == expected)
                    continue;
                EndAtDamage(segment, Unverified(segment, offset, expected, !isLast ? ""
                    : cutLsn <= vouchedLsn ? $", and the log was durable up to LSN {vouchedLsn}"
                    : ", and later records say that it was durable"));
                isLast = true;
                break;
            }
            KnownDurable = Math.Max(KnownDurable, record.DurableBefore);
            LastTimeMs = Math.Max(LastTimeMs, record.UnixTimeMs);
            if (groupStart < 0 && !record.Continues)
                Deliver(record, replayFrom, replay);
            else if (groupStart < 0)
                (groupStart, groupLsn) = (offset, expected);
            else if (!record.Continues)
            {
                if (expected >= replayFrom) DeliverGroup(reader, groupStart, offset, replayFrom, replay);
                groupStart = -1;
            }
            offset += size;
            expected++;
        }
        if (!isLast && groupStart >= 0) EndAtDamage(segment, Endless(segment, groupStart, groupLsn));
        End = groupStart >= 0 ? groupStart : offset;
        LastLsn = (groupStart >= 0 ? groupLsn : expected) - 1;
        LeftoverEnd = Math.Max(isLast ? LeftoverEnd : End, Math.Max(offset, End));
        KnownDurable = Math.Max(KnownDurable, Math.Min(vouchedLsn, LastLsn));
    }

    static RecoveryException Unverified(LogSegment segment, long offset, ulong lsn, string more) =>
        Damage(segment.Path, lsn,
            $"{segment.Path} is damaged at offset {offset}: the record with LSN {lsn} does not verify{more}");

    static RecoveryException Endless(LogSegment segment, long offset, ulong groupLsn) =>
        Damage(segment.Path, groupLsn,
            $"{segment.Path} is damaged at offset {offset}: the record group that starts there with LSN {groupLsn} has "
                + "no end");

    /// <summary>Throws, unless the log may end there: then nothing comes after this segment.</summary>
    void EndAtDamage(LogSegment segment, RecoveryException damage)
    {
        if (!options.UpToDamage) throw damage;
        EndsAt = damage;
        var next = Segments.IndexOf(segment) + 1;
        Segments.RemoveRange(next, Segments.Count - next);
    }

    static void Deliver(in Record record, ulong replayFrom, RecordTaken? replay)
    {
        if (record.Lsn >= replayFrom)
            replay?.Invoke(record);
    }

    static void DeliverGroup(SegmentReader reader, long from, long lastRecord, ulong replayFrom, RecordTaken? replay)
    {
        while (from <= lastRecord)
        {
            var verified = reader.TryReadAt(from, out var record, out var size);
            Debug.Assert(verified, "it was verified a moment ago");
            if (!verified)
                throw new RecoveryException(RecoveryError.IoRead,
                    $"A record at offset {from} read differently the second time.",
                    "Check the disk.");
            Deliver(record, replayFrom, replay);
            from += size;
        }
    }

    /// <summary>
    /// Whether the log simply ends at an offset, where the first record to be cut would be
    /// <paramref name="cutLsn"/>. Finds out where what is left over behind it ends.
    /// </summary>
    bool EndsThere(SegmentReader reader, long offset, ulong cutLsn)
    {
        if (cutLsn <= vouchedLsn) return false;
        LeftoverEnd = offset;
        // Closed there: there is nothing to look for.
        if (vouched.IsClosed && vouchedLsn + 1 == cutLsn) return true;
        var (mayEnd, end) = LeftoverRecords.Search(reader, offset, cutLsn);
        LeftoverEnd = end;
        return mayEnd;
    }

    static RecoveryException Damage(string path, ulong? lsn, string what) => new(RecoveryError.Corrupt,
        what + ". Nothing was cut or changed.",
        "Restore the store from its remote (or from a backup), and keep the directory for a look at what happened.")
    { Path = path, Lsn = lsn };
}
