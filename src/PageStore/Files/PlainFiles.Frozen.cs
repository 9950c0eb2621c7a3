using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Files;

// What hints say of plain files, and whether the files are as it says.
internal sealed partial class PlainFiles
{
    /// <summary>
    /// Runs something while no plain file is created, changed or deleted; it may read files by fnode. Writers wait.
    /// </summary>
    public T WhileFrozen<T>(Func<Func<ulong, long, ReadOnlyMemory<byte>>, T> action) =>
        WhileFrozen(nodes => action((fnode, sizeBytes) => ReadWhole(nodes[fnode], sizeBytes)));

    /// <summary>
    /// Makes local hints, with the checksums of all plain files, for which they vouch from here on. Writers wait.
    /// </summary>
    public Hints WithSums(Func<Hints> snapshot) => WhileFrozen(nodes =>
    {
        var hints = snapshot();
        return hints with
        {
            Files = [.. hints.Files.Select(f => f.Class
            == FileClass.Plain ? f with { Sums = Vouch(nodes[f.Fnode]) } : f)]
        };
    });

    /// <summary>Reads every plain file, and returns one line a problem.</summary>
    public IEnumerable<string> Verify(CancellationToken cancellation)
    {
        PlainNode[] nodes;
        lock (gate)
        {
            nodes = [.. byName.Values];
            foreach (var node in nodes)
            {
                node.Handle ??= disk.Open(PathOf(node.Fnode), LogFileMode.Write);
                node.References++;
            }
        }
        foreach (var node in nodes)
        {
            var problem = node.Verify(cancellation);
            Close(node);
            if (problem is not null) yield return $"{node.Name}: {problem} ({PathOf(node.Fnode)})";
        }
    }

    ReadOnlyMemory<uint> Vouch(PlainNode node) => WithHandle(node, static n => n.Vouch());

    T WhileFrozen<T>(Func<Dictionary<ulong, PlainNode>, T> action)
    {
        lock (gate)
        {
            var nodes = byName.Values.OrderBy(n => n.Fnode).ToArray();
            var taken = 0;
            try
            {
                foreach (var node in nodes)
                {
                    node.Gate.Enter();
                    taken++;
                }
                return action(nodes.ToDictionary(n => n.Fnode));
            }
            finally
            {
                while (taken > 0) nodes[--taken].Gate.Exit();
            }
        }
    }

    ReadOnlyMemory<byte> ReadWhole(PlainNode node, long sizeBytes)
    {
        var bytes = new byte[sizeBytes];
        var got = WithHandle(node, n => n.Read(0, bytes));
        if (got < sizeBytes)
            throw new RecoveryException(RecoveryError.Corrupt,
                $"{PathOf(node.Fnode)} has {got} bytes where {sizeBytes} were written. Something else changes the "
                    + "store's files.");
        return bytes;
    }

    T WithHandle<T>(PlainNode node, Func<PlainNode, T> action)
    {
        var wasClosed = node.Handle is null;
        node.Handle ??= disk.Open(PathOf(node.Fnode), LogFileMode.Write);
        var result = action(node);
        if (wasClosed) node.CloseHandle();
        return result;
    }
}
