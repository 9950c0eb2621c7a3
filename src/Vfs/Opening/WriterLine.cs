namespace RecoveryVfs.Opening;

/// <summary>
/// The handles that wait for the writer's place of one database, in the order in which they came. When the place
/// becomes free, the first is called, and for a moment nobody else gets it.
/// </summary>
/// <remarks>
/// Nothing depends on a call being heard: a handle that does not come loses its turn to whoever asks next, and nobody
/// sleeps longer than SQLite's busy handler wants. Guarded by the database's gate.
/// </remarks>
internal sealed class WriterLine
{
    // How long the place is kept for the one that was called, and a place in line for one that does not sleep. It has
    // to get a processor and to ask for two locks: tens of microseconds, milliseconds on a loaded machine.
    const long KeptMs = 20;

    readonly LinkedList<WaitingWriter> line = [];
    WaitingWriter? called;
    long calledAt;

    /// <summary>Whether it was called, and nobody has come since.</summary>
    public bool IsCalled(WaitingWriter? writer) => writer is not null && ReferenceEquals(called, writer);

    /// <summary>Whether the place is kept for another.</summary>
    public bool IsKeptFor(WaitingWriter? other)
    {
        if (called is not null && Environment.TickCount64 - calledAt > KeptMs) called = null;
        return called is not null && !ReferenceEquals(called, other);
    }

    /// <summary>Somebody has the place.</summary>
    public void Took(WaitingWriter? writer)
    {
        called = null;
        if (writer is not null) Leave(writer);
    }

    /// <summary>
    /// Stands in line until it has the place, or comes no more; null when it can go on at once. Else it sleeps, and
    /// before that the caller wakes the one that is returned (perhaps itself).
    /// </summary>
    public WaitingWriter? Join(WaitingWriter writer, bool isFree)
    {
        writer.IsAsleep = true;
        if (IsCalled(writer)) return writer;
        if (writer.Node.List is null) line.AddLast(writer.Node);
        return isFree && !IsKeptFor(writer) ? CallNext() : null;
    }

    /// <summary>The place is free: calls the first in line that still waits. The caller wakes it.</summary>
    public WaitingWriter? CallNext()
    {
        called = null;
        var now = Environment.TickCount64;
        while (line.First is { } first)
        {
            line.Remove(first);
            if (!first.Value.IsAsleep && now - first.Value.AwakeSince > KeptMs) continue;
            calledAt = now;
            return called = first.Value;
        }
        return null;
    }

    /// <summary>It waits no more. When it was called, the caller wakes the one who comes instead.</summary>
    public WaitingWriter? Leave(WaitingWriter writer)
    {
        if (writer.Node.List is not null) line.Remove(writer.Node);
        return IsCalled(writer) ? CallNext() : null;
    }
}
