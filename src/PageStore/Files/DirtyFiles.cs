namespace RecoveryVfs.PageStore.Files;

/// <summary>The plain files that were changed since they were synced last. Thread-safe, by a lock taken last.</summary>
internal sealed class DirtyFiles
{
    readonly Lock gate = new();
    readonly HashSet<PlainNode> nodes = [];

    /// <summary>
    /// With the node's gate held, before it is changed: whoever takes it from the set waits at that gate, and so finds
    /// the change.
    /// </summary>
    public void Add(PlainNode node)
    {
        if (node.Dirty || node.Deleted) return;
        lock (gate)
        {
            node.Dirty = true;
            nodes.Add(node);
        }
    }

    public void Remove(PlainNode node)
    {
        lock (gate) nodes.Remove(node);
        node.Dirty = false;
    }

    /// <summary>All of them, which are clean from here on.</summary>
    public PlainNode[] TakeAll()
    {
        lock (gate)
        {
            PlainNode[] taken = [.. nodes];
            nodes.Clear();
            foreach (var node in taken) node.Dirty = false;
            return taken;
        }
    }
}
