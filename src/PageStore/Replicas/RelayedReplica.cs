using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Replicas;

/// <summary>
/// A replica that keeps each run of records in a <see cref="Relay"/> before it applies them: other processes read the
/// directory meanwhile, and a restart goes on from it. Used by one thread.
/// </summary>
internal sealed class RelayedReplica : IDisposable
{
    readonly Relay relay;
    bool disposed;

    /// <summary>
    /// Takes a replica over, says whose log it follows (where the caller knows more than its hints do), and applies
    /// what its relay has kept. When it throws, the replica stays the caller's.
    /// </summary>
    public RelayedReplica(Replica replica, Guid? logId = null)
    {
        Replica = replica;
        if (logId is { } source) replica.SetSource(source, 0);
        relay = new Relay(replica.Replayed, replica.Apply);
    }

    public Replica Replica { get; }

    /// <summary>
    /// Takes a run of whole groups that ends with an LSN: keeps it, shows it to other processes, and applies what is
    /// new of it. Should that break off, the replica is not whole before it has the run again.
    /// </summary>
    /// <param name="read">Gives all records of the run, in order; it is called twice.</param>
    /// <param name="lastLsn">The last of them.</param>
    /// <param name="applied">Told of each that was applied.</param>
    public void Take(Action<RecordTaken> read, ulong lastLsn, RecordTaken? applied = null)
    {
        read((in Record record) =>
        {
            Replica.Replayed.Room?.Take(record.Body.Length);
            relay.Add(record);
        });
        relay.WriteOut();
        Replica.Announce(lastLsn);
        read((in Record record) =>
        {
            if (record.Lsn < Replica.NextLsn) return;
            Replica.Apply(record);
            applied?.Invoke(record);
        });
    }

    /// <inheritdoc cref="Replica.Settle"/>
    public void Settle()
    {
        Replica.Settle();
        relay.Settle();
    }

    /// <inheritdoc cref="Replica.CloseAsStore"/>
    public void CloseAsStore()
    {
        relay.Dispose();
        Replica.CloseAsStore();
        disposed = true;
    }

    /// <summary>Closes both; from the middle of a group it goes back to where it was settled last.</summary>
    public void Dispose()
    {
        if (disposed) return;
        disposed = true;
        try
        {
            if (!Replica.Replayed.IsInGroup) Settle();
        }
        catch (RecoveryException)
        {
            // Everything is in the followed log; the next open applies it and meets the error again if it lasts.
        }
        relay.Dispose();
        Replica.Dispose();
    }
}
