using System.Buffers;
using System.Diagnostics;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Log;

// Appending: records are encoded into the buffer under the append lock; every append is a group, mostly of one record.
internal sealed partial class LocalLog
{
    bool groupOpen, groupFailed;
    long groupStart;
    ulong groupFirst;                       // LSN of the group's first record
    LogReservation? groupReservation;
    long groupDrawn;
    readonly List<AppendedRecord> groupRecords = [];
    ArrayBufferWriter<byte> groupBodies = new();

    /// <summary>What <see cref="LogOptions.OnAppended"/> will be told of a record when its group is complete.</summary>
    readonly record struct AppendedRecord(ulong Lsn, RecordKind Kind, byte Flags, long Time, uint Undurable,
        int BodyStart, int BodyLength);

    long End => bufferOffset + bufferUsed;

    /// <summary>
    /// Appends one record whose body is the spans one after another; returns its LSN. On an error the log is as before.
    /// With <paramref name="writeOut"/> it is handed to the operating system before it counts, so that an error of the
    /// write, too, leaves the log as before. No allocation; one copy of the body, none when it is larger than the
    /// buffer.
    /// </summary>
    public ulong Append(RecordKind kind, ReadOnlySpan<byte> a, ReadOnlySpan<byte> b = default,
        ReadOnlySpan<byte> c = default,
        byte flags = 0, bool writeOut = false, LogReservation? reservation = null)
    {
        if ((flags & RecordFlags.Continues) != 0)
            throw new ArgumentException("Only a group makes records that continue.", nameof(flags));
        lock (appendLock)
        {
            StartGroup(reservation, 0);
            try
            {
                Emit(kind, flags, a, b, c);
                return Publish(writeOut);
            }
            finally
            {
                FinishGroup();
            }
        }
    }

    /// <summary>
    /// Begins a group, taking the append lock until it is disposed. <paramref name="expectedBytes"/> (see
    /// <see cref="SpaceFor"/>; a guess will do) lets a group that does not fit into the rest of the segment start in a
    /// new one.
    /// </summary>
    public LogGroup BeginGroup(LogReservation? reservation = null, long expectedBytes = 0)
    {
        appendLock.Enter();
        try
        {
            StartGroup(reservation, expectedBytes);
            return new LogGroup(this);
        }
        catch
        {
            appendLock.Exit();
            throw;
        }
    }

    internal ulong AddToGroup(RecordKind kind, ReadOnlySpan<byte> a, ReadOnlySpan<byte> b, ReadOnlySpan<byte> c)
    {
        CheckGroup();
        groupFailed = true;
        Emit(kind, RecordFlags.Continues, a, b, c);
        groupFailed = false;
        return appendedLsn;
    }

    internal ulong CompleteGroup(RecordKind kind, ReadOnlySpan<byte> a, ReadOnlySpan<byte> b, ReadOnlySpan<byte> c,
        bool writeOut)
    {
        CheckGroup();
        groupFailed = true;
        Emit(kind, 0, a, b, c);
        return Publish(writeOut);
    }

    internal void EndGroup()
    {
        try
        {
            FinishGroup();
        }
        finally
        {
            appendLock.Exit();
        }
    }

    void CheckGroup()
    {
        if (!appendLock.IsHeldByCurrentThread || !groupOpen || groupFailed)
            throw new InvalidOperationException("The record group has ended, or failed before; dispose it.");
    }

    void StartGroup(LogReservation? reservation, long expectedBytes)
    {
        if (groupOpen)
            throw new InvalidOperationException(
                "This thread is already appending a record group; complete or dispose it first.");
        ThrowUnlessWritable();
        try
        {
            DrainEvents();
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.Full)
        {
            // The events stay in line; this append may have its space reserved.
        }
        if (reservation is null && expectedBytes > 0 && (mustRoll || End + expectedBytes + reserved > capacity)
            && SegmentFormat.HeaderBytes + expectedBytes <= options.SegmentBytes)
            Roll(SegmentFormat.HeaderBytes + expectedBytes + reserved);
        OpenGroup(reservation);
    }

    void OpenGroup(LogReservation? reservation)
    {
        groupOpen = true;
        groupFailed = false;
        groupStart = End;
        groupFirst = appendedLsn + 1;
        groupReservation = reservation;
        groupDrawn = 0;
    }

    /// <summary>Encodes one record at the end; the log's visible end stays where it is.</summary>
    void Emit(RecordKind kind, byte flags, ReadOnlySpan<byte> a, ReadOnlySpan<byte> b, ReadOnlySpan<byte> c)
    {
        var length = (long)a.Length + b.Length + c.Length;
        if (length > RecordFormat.MaxBodyBytes)
            throw new RecoveryException(RecoveryError.Invalid,
                $"A record's body of {length} bytes is too large for the log in {directory}: "
                + $"the limit is {RecordFormat.MaxBodyBytes}.",
                "Split it into a group.")
            { Path = directory };
        var size = RecordFormat.SizeOf((int)length);
        MakeRoom(size);

        var lsn = appendedLsn + 1;
        var time = copiedTime != 0 ? copiedTime : NextTime();
        var undurable = (uint)Math.Min(uint.MaxValue, lsn - DurableLsn);
        if (size > buffer.Length - bufferUsed)
            Flush();
        if (size <= buffer.Length - bufferUsed)
        {
            var target = buffer.AsSpan(bufferUsed, size);
            RecordFormat.WriteHeader(target, current.Seed, lsn, kind, flags, time, undurable, a, b, c);
            var body = target[RecordFormat.HeaderBytes..];
            a.CopyTo(body);
            b.CopyTo(body[a.Length..]);
            c.CopyTo(body[(a.Length + b.Length)..]);
            body[(int)length..].Clear();
            bufferUsed += size;
        }
        else
            WriteThrough(size, lsn, kind, flags, time, undurable, a, b, c);
        appendedLsn = lsn;
        if (options.OnAppended is not null)
            Remember(new AppendedRecord(lsn, kind, flags, time, undurable, groupBodies.WrittenCount, (int)length), a, b,
                c);
    }

    long NextTime()
    {
        var time = clock.Next(out var wentBack);
        if (wentBack is not { } note) return time;
        Span<byte> body = stackalloc byte[ClockNote.SizeBytes];
        note.Write(body);
        // It comes before the next group. Where there is no room for it, it is not missed.
        events.TryEnqueue(RecordKind.Noted, body, default);
        return time;
    }

    void Remember(AppendedRecord record, ReadOnlySpan<byte> a, ReadOnlySpan<byte> b, ReadOnlySpan<byte> c)
    {
        if (record.Kind == RecordKind.PageCommit)
        {
            groupRecords.Add(record with { BodyLength = 0 });
            return;
        }
        groupBodies.Write(a);
        groupBodies.Write(b);
        groupBodies.Write(c);
        groupRecords.Add(record);
    }

    /// <summary>Makes the group's records part of the log; returns the last one's LSN.</summary>
    ulong Publish(bool writeOut)
    {
        if (writeOut)
            FlushBuffer();
        groupOpen = false;
        Volatile.Write(ref lastLsn, appendedLsn);
        if (bufferUsed == 0)
            PublishWritten();
        foreach (var r in groupRecords)
            options.OnAppended!(
                new Record(r.Lsn, r.Kind, r.Flags, r.Time, r.Undurable,
                groupBodies.WrittenSpan.Slice(r.BodyStart, r.BodyLength)));
        if (End >= prepareAt)
        {
            prepareAt = long.MaxValue;
            spares.PrepareInBackground(NextBytes);
        }
        SyncAhead();
        return appendedLsn;
    }

    /// <summary>
    /// Forgets the group's state; when it was not published, the log is back at its last good record.
    /// </summary>
    void FinishGroup()
    {
        if (groupRecords.Count > 0)
        {
            groupRecords.Clear();
            if (groupBodies.Capacity > 1 << 20)
                groupBodies = new();
            else
                groupBodies.ResetWrittenCount();
        }
        if (groupOpen)
        {
            groupOpen = false;
            Undo();
        }
        groupReservation = null;
    }

    void Undo()
    {
        appendedLsn = groupFirst - 1;
        reserved += groupDrawn;
        if (groupReservation is not null)
            groupReservation.Bytes += groupDrawn;
        if (bufferOffset <= groupStart)
            bufferUsed = (int)(groupStart - bufferOffset);
        else
        {
            bufferOffset = groupStart;
            bufferUsed = 0;
        }
        if (attemptedEnd > groupStart)
            Wipe(groupStart);
        if (bufferUsed == 0)
            PublishWritten();
    }

    /// <summary>
    /// Zeroes what an abandoned group left in the file, durably before anything else is appended: else, after a loss of
    /// power, its records could stand among those of another group.
    /// </summary>
    void Wipe(long from)
    {
        if (Poison is not null)
            return;
        try
        {
            file.WriteZeros(from, attemptedEnd);
        }
        catch (RecoveryException)
        {
            // A new segment's identity does what zeros would have done.
            mustRoll = true;
            return;
        }
        try
        {
            lock (syncGate)
                SyncFile(file);
        }
        catch
        {
            EraseUndurable();
            throw;
        }
        attemptedEnd = from;
    }
}
