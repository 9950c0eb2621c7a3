using System.Buffers;
using RecoveryVfs.Changes;
using RecoveryVfs.Changes.Cursors;
using RecoveryVfs.Changes.Lines;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;

namespace RecoveryVfs.Tail;

/// <summary><c>--rows</c>: changed rows as lines, with a cursor or without.</summary>
static class RowStreaming
{
    public static async Task<int> RunAsync(Arguments arguments, Stream output, TextWriter errors,
        CancellationToken stop)
    {
        await using var objects = RemoteUrl.Parse(arguments.Url).Open(readOnly: arguments.Cursor is null);
        var context = new RemoteContext { Store = objects };
        var cursor = arguments.Cursor is null
            ? null
            : await TailCursor.OpenAsync(context, arguments.Cursor, arguments.CursorExpiry, stop);
        var tail = new RowTail(context, Options(arguments, cursor, errors))
        {
            Began = async lsn =>
            {
                if (cursor is { Lsn: null })
                    await cursor.MoveAsync(lsn, isWithinSnapshot: arguments.Snapshot == RowSnapshot.Initial, stop);
            },
        };
        var lines = new RowLines(output, Format(arguments));
        if (cursor is null) await WriteAsync(tail, lines, null, stop);
        else await WriteWithCursorAsync(tail, lines, cursor, errors, stop);
        return ExitCode.Ok;
    }

    static RowTailOptions Options(Arguments arguments, TailCursor? cursor, TextWriter errors) => new()
    {
        From = arguments.From,
        After = cursor?.Lsn,
        Databases = arguments.Databases,
        Tables = arguments.Tables,
        Snapshot = cursor is { Lsn: not null }
            ? cursor.IsWithinSnapshot ? RowSnapshot.Initial : RowSnapshot.Never : arguments.Snapshot,
        Once = arguments.Once,
        Interval = arguments.Interval,
        Interrupted = trouble
            => errors.WriteLine(
                "recovery-tail: "
                    + $"{(trouble is null ? "the remote can be reached again." : trouble.Message + " Trying on.")}"),
    };

    static IEventFormat Format(Arguments arguments) =>
        arguments.Format == RowFormat.Debezium ? new DebeziumJson(arguments.Url, TimeProvider.System) : new EventJson();

    /// <summary>
    /// Lines go out when a commit is whole, or when there are many: so a small commit takes one write.
    /// </summary>
    static async Task WriteAsync(RowTail tail, RowLines lines, Action? passed, CancellationToken stop)
    {
        var events = tail.ReadAsync(stop).GetAsyncEnumerator(stop);
        await using (events)
        {
            while (true)
            {
                var next = events.MoveNextAsync();
                // What comes next is not there yet.
                if (!next.IsCompleted) lines.Flush(tail.Lsn);
                if (!await next) break;
                lines.Write(events.Current, tail.Lsn);
                passed?.Invoke();
            }
        }
        lines.Flush(tail.Lsn);
    }

    // A cursor that moves is two requests; one that stays behind costs repeated lines after a kill.
    static readonly TimeSpan MoveInterval = TimeSpan.FromSeconds(1);

    static async Task WriteWithCursorAsync(RowTail tail, RowLines lines, TailCursor cursor, TextWriter errors,
        CancellationToken stop)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var moving = MoveAsync(tail, lines, cursor, errors, ending.Token);
        try
        {
            await WriteAsync(tail, lines, null, stop);
        }
        finally
        {
            await ending.CancelAsync();
            await moving;
            await TryMoveAsync(tail, lines, cursor, errors);
        }
    }

    static async Task MoveAsync(RowTail tail, RowLines lines, TailCursor cursor, TextWriter errors,
        CancellationToken stop)
    {
        try
        {
            while (true)
            {
                await Task.Delay(MoveInterval, stop);
                await TryMoveAsync(tail, lines, cursor, errors);
            }
        }
        catch (OperationCanceledException)
        {
            // The lines have ended.
        }
    }

    static async Task TryMoveAsync(RowTail tail, RowLines lines, TailCursor cursor, TextWriter errors)
    {
        if (!tail.IsBeyondSnapshot || lines.ReadLsn() is not { } lsn || lsn < cursor.Lsn) return;
        try
        {
            await cursor.MoveAsync(lsn, isWithinSnapshot: false);
        }
        catch (Exception e) when (e is RecoveryLog.RecoveryException or ObjectStoreException)
        {
            errors.WriteLine($"recovery-tail: the cursor stays at LSN {cursor.Lsn} for now: {e.Message}");
        }
    }
}

/// <summary>Events as lines, gathered while there are more; and which commits whoever reads them has taken.</summary>
sealed class RowLines(Stream output, IEventFormat format)
{
    const int MostBytes = 64 << 10;

    readonly ArrayBufferWriter<byte> gathered = new();
    readonly Queue<(long EndBytes, ulong Lsn)> ends = new();
    readonly Lock gate = new();
    long handedOver;
    ulong noted;
    ulong? read;

    /// <summary>Writes an event; <paramref name="lsn"/> is the last commit that was given whole before it.</summary>
    public void Write(RowEvent told, ulong lsn)
    {
        Note(handedOver + gathered.WrittenCount, lsn);
        format.Write(told, gathered);
        if (gathered.WrittenCount >= MostBytes) Hand();
    }

    /// <summary>Hands on what is gathered, which ends with that commit.</summary>
    public void Flush(ulong lsn)
    {
        Hand();
        Note(handedOver, lsn);
    }

    void Hand()
    {
        if (gathered.WrittenCount == 0) return;
        output.Write(gathered.WrittenSpan);
        output.Flush();
        Interlocked.Add(ref handedOver, gathered.WrittenCount);
        gathered.ResetWrittenCount();
    }

    void Note(long endBytes, ulong lsn)
    {
        if (lsn == 0) return;
        lock (gate)
            if (noted < lsn) ends.Enqueue((endBytes, noted = lsn));
    }

    /// <summary>The newest commit of which every line has been taken from the pipe; null before there is one.</summary>
    public ulong? ReadLsn()
    {
        var taken = Interlocked.Read(ref handedOver) - (output is StandardOutput ? StandardOutput.UnreadBytes() : 0);
        lock (gate)
        {
            while (ends.TryPeek(out var end) && end.EndBytes <= taken) read = ends.Dequeue().Lsn;
            return read;
        }
    }
}
