namespace RecoveryVfs.RecoveryLog.Remote.Formats;

/// <summary>
/// Sees an extent's bytes on their way into a file. Whether they are the extent's is known only when all have come.
/// </summary>
internal interface IExtentWitness
{
    /// <summary>The first byte comes next; again whenever the extent is read from its beginning once more.</summary>
    void Begin();

    /// <summary>Sees the next bytes. Does not throw: what it makes of them is nobody's business here.</summary>
    void Take(ReadOnlySpan<byte> bytes);
}
