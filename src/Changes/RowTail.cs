using System.IO.Enumeration;
using System.Runtime.CompilerServices;
using RecoveryVfs.PageStore.Past;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Tails;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.Rows;

namespace RecoveryVfs.Changes;

/// <summary>
/// The changes of rows in a remote, in the order of its commits: <c>await foreach (var change in new RowTail(url,
/// options).ReadAsync())</c>. It reads only. Nothing is read ahead of the caller, so one who stops reading stops the
/// reading; a commit of any size takes bounded memory.
/// </summary>
public sealed class RowTail
{
    readonly PastSource source;
    readonly RowTailOptions options;
    ulong lsn;

    /// <summary>
    /// A tail of the remote at <c>s3://bucket/prefix</c> or <c>file:///directory</c>. Makes no request yet.
    /// </summary>
    public RowTail(string url, RowTailOptions options)
        : this(new RemoteContext { Store = RemoteUrl.Parse(url).Open(readOnly: true) }, options) { }

    internal RowTail(RemoteContext context, RowTailOptions options) : this(new RemotePastSource(context), options) { }

    internal RowTail(PastSource source, RowTailOptions options) => (this.source, this.options) = (source, options);

    /// <summary>The last commit of which everything was given.</summary>
    public ulong Lsn => Volatile.Read(ref lsn);

    /// <summary>Whether the rows that were there at the beginning were all given, if they are to be.</summary>
    public bool IsBeyondSnapshot { get; private set; }

    /// <summary>Called with the LSN of the state at which it begins, before anything is given.</summary>
    public Func<ulong, ValueTask>? Began { get; init; }

    /// <summary>
    /// The events, in order. Ends at the end of the log with <see cref="RowTailOptions.Once"/>, after the rows with
    /// <see cref="RowSnapshot.Only"/>, else when it is cancelled. Throws NotFound when the remote does not have the
    /// place to begin at any more.
    /// </summary>
    public async IAsyncEnumerable<RowEvent> ReadAsync([EnumeratorCancellation] CancellationToken cancellation = default)
    {
        await using var store =
            await source.OpenAsync(await StartAsync(cancellation), options.Past, cancellation);
        using var databases = new TailedDatabases(store, IsWanted, options.Tables);
        databases.Begin();
        if (Began is not null) await Began(store.Lsn);
        if (options.Snapshot != RowSnapshot.Never)
        {
            foreach (var each in databases.Snapshot())
            {
                cancellation.ThrowIfCancellationRequested();
                yield return each;
            }
        }
        IsBeyondSnapshot = true;
        Volatile.Write(ref lsn, store.Lsn);
        if (options.Snapshot == RowSnapshot.Only) yield break;
        while (await store.NextAsync(RestoreTarget.Newest, !options.Once, cancellation) is { Count: > 0 } commits)
        {
            foreach (var each in databases.Changes(commits))
            {
                cancellation.ThrowIfCancellationRequested();
                yield return each;
            }
            Volatile.Write(ref lsn, store.Lsn);
        }
    }

    bool IsWanted(string database) =>
        !DeletedName.Is(database)
            && FileSystemName.MatchesSimpleExpression(options.Databases, database, ignoreCase: false);

    /// <summary>The state before the first commit that is told of.</summary>
    async ValueTask<RestoreTarget> StartAsync(CancellationToken cancellation)
    {
        if (options.After is { } after) return RestoreTarget.At(after);
        var from = options.From;
        if (from.IsOldest || from.Lsn <= 1) return await source.OldestAsync(cancellation);
        if (from.Lsn is { } lsn) return RestoreTarget.At(lsn - 1);
        if (from.Time is not { } time) return RestoreTarget.Newest;
        var before = RestoreTarget.At(time.AddMilliseconds(-1));
        try
        {
            await source.RequireAsync(before, cancellation);
            return before;
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.NotFound)
        {
            // It is before the log begins, or before what is left of it.
            return await source.OldestAsync(cancellation);
        }
    }
}
