using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Live;

// To hints, and from them.
internal sealed partial class LiveFiles
{
    /// <summary>
    /// What lives now, as hints; <paramref name="replayFrom"/> gets the LSN that they are true at and says where a
    /// replay must start.
    /// </summary>
    public Hints Snapshot(Guid logId, ulong epoch, Func<ulong, ulong> replayFrom)
    {
        lock (gate)
        {
            return new Hints
            {
                LogId = logId,
                Epoch = epoch,
                Lsn = lsn,
                ReplayFrom = replayFrom(lsn),
                NextFnode = nextFnode,
                NextDatabaseId = databases.NextId,
                Files = [.. files.Values.Select(entry => entry.View())],
                Databases = databases.ToList(),
            };
        }
    }

    /// <summary>Starts from hints.</summary>
    public void Load(Hints hints)
    {
        lock (gate)
        {
            files.Clear();
            byName.Clear();
            smallBytes = 0;
            lsn = hints.Lsn;
            nextFnode = hints.NextFnode;
            databases.Load(hints.Databases, hints.NextDatabaseId);
            foreach (var file in hints.Files)
            {
                if (file.Class == FileClass.RocksSmall && file.Bytes.Length != file.SizeBytes)
                    throw new RecoveryException(RecoveryError.Corrupt,
                        $"The hints at LSN {hints.Lsn} have {file.Bytes.Length} of {file.SizeBytes} bytes of "
                        + $"{file.Name}.",
                        "Use older hints, or restore the store from its remote.")
                    { Lsn = hints.Lsn };
                var entry = LiveEntry.Of(file);
                files.Add(file.Fnode, entry);
                smallBytes += entry.Bytes.Length;
                foreach (var name in file.Names) byName[entry.Key(name)] = entry;
            }
        }
    }
}
