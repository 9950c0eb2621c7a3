using RecoveryVfs.Operations;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.Rollbacks;

/// <summary>A state of a store's databases that they can be taken back to.</summary>
internal abstract class EarlierState : IAsyncDisposable
{
    /// <summary>Which state it is.</summary>
    public required Bookmark Bookmark { get; init; }

    /// <summary>The databases that there were.</summary>
    public required IReadOnlyList<string> Databases { get; init; }

    /// <summary>Says which databases will be asked for, before the first is.</summary>
    public virtual Task HoldAsync(IReadOnlyList<string> databases, CancellationToken cancellation) =>
        Task.CompletedTask;

    /// <summary>
    /// Writes what a database is to be replaced by (<see cref="Handles.ReplacementFile"/>), in as few pages as are
    /// known to be enough.
    /// </summary>
    public abstract Task WriteAsync(string database, string path, StepBegun begin, CancellationToken cancellation);

    /// <summary>Writes the whole database in its place; false when that is what was written before.</summary>
    public virtual bool TryWriteWhole(string database, string path, StepBegun begin, CancellationToken cancellation) =>
        false;

    /// <inheritdoc/>
    public abstract ValueTask DisposeAsync();

    /// <summary>
    /// The state of a moment: from the store itself, when that reaches back so far; else from its remote, which is sent
    /// what it lacks first.
    /// </summary>
    public static async Task<EarlierState> FindAsync(StoreDirectory store, RestoreTarget to, StepBegun begin,
        Action<string> note, CancellationToken cancellation)
    {
        if (store.IsReplica)
            throw new RecoveryException(RecoveryError.Invalid,
                $"The store {store.Path} follows another one, and has no writer to take it back.",
                "Roll back the store that it follows.")
            { Path = store.Path };
        var hasRemote = (store.RemoteUrl ?? RemoteAccess.Default) is not null;
        return await LocalState.TryOpenAsync(store, to, mayBeElsewhere: hasRemote, cancellation)
            ?? (EarlierState)await RemoteState.OpenAsync(store, to, begin, note, cancellation);
    }
}
