using RecoveryVfs.Changes;
using RecoveryVfs.Changes.Cursors;
using RecoveryVfs.Changes.Lines;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;

namespace RecoveryVfs.Tail;

/// <summary><c>--rows</c>: changed rows as lines, with a cursor or without.</summary>
static class RowStreaming
{
    /// <param name="arguments">The command line.</param>
    /// <param name="input">Where a consumer acknowledges lines, if it is to.</param>
    /// <param name="output">Where lines go.</param>
    /// <param name="errors">Where notes go.</param>
    /// <param name="stop">Ends it.</param>
    public static async Task<int> RunAsync(Arguments arguments, Stream input, Stream output, TextWriter errors,
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
        if (arguments.Acknowledged)
        {
            await WriteAcknowledgedAsync(tail, Format(arguments), new Acknowledgements(input), output, cursor!, errors,
                stop);
            return ExitCode.Ok;
        }
        var lines = new RowLines(output, Format(arguments), new PipeConsumer(output));
        if (cursor is null) await WriteAsync(tail, lines, stop);
        else await WriteWithCursorAsync(tail, lines, cursor, errors, () => Task.CompletedTask, stop);
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
    static async Task WriteAsync(RowTail tail, RowLines lines, CancellationToken stop)
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
            }
        }
        lines.Flush(tail.Lsn);
    }

    // A cursor that moves is two requests; one that stays behind costs repeated lines after a kill.
    static readonly TimeSpan MoveInterval = TimeSpan.FromSeconds(1);

    /// <summary>
    /// The cursor goes where the consumer says that it is. It ends when the consumer says no more, or nonsense; at the
    /// end of the log, when the consumer is done with everything.
    /// </summary>
    static async Task WriteAcknowledgedAsync(RowTail tail, IEventFormat format, Acknowledgements acknowledged,
        Stream output, TailCursor cursor, TextWriter errors, CancellationToken stop)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var lines = new RowLines(output, format, new AcknowledgingConsumer(acknowledged));
        acknowledged.Start();
        _ = EndAsync(acknowledged.Ended, ending);
        async Task DoneAsync()
        {
            while (!lines.IsAllRead) await Task.Delay(LookInterval, ending.Token);
        }
        try
        {
            await WriteWithCursorAsync(tail, lines, cursor, errors, DoneAsync, ending.Token);
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            await acknowledged.Ended;
            if (!lines.IsAllRead)
                errors.WriteLine("recovery-tail: the consumer has ended its acknowledgements before it was done with "
                    + $"every line. The cursor is at LSN {cursor.Lsn}; the next run goes on from there.");
        }
    }

    static async Task EndAsync(Task ended, CancellationTokenSource ending)
    {
        await ended.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        try
        {
            await ending.CancelAsync();
        }
        catch (ObjectDisposedException)
        {
            // The lines have ended before.
        }
    }

    // How often it is looked whether a consumer is done with the last lines.
    static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(20);

    static async Task WriteWithCursorAsync(RowTail tail, RowLines lines, TailCursor cursor, TextWriter errors,
        Func<Task> done, CancellationToken stop)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var moving = MoveAsync(tail, lines, cursor, errors, ending.Token);
        try
        {
            await WriteAsync(tail, lines, stop);
            await done();
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
