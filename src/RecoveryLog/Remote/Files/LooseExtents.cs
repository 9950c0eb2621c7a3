using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.RecoveryLog.Remote.Files;

/// <summary>
/// The extents that a remote has, whether hints name them or not: those of files that were sealed after the newest
/// hints. What a record says of a file, its size and checksum, proves their bytes.
/// </summary>
internal sealed class LooseExtents
{
    readonly RemoteContext context;
    readonly Dictionary<ulong, List<(string Name, ulong HashPrefix, long SizeBytes)>> byFile = [];

    LooseExtents(RemoteContext context) => this.context = context;

    /// <summary>Those that there are now, of files from <paramref name="first"/> on.</summary>
    public static async ValueTask<LooseExtents> ListAsync(RemoteContext context,
        CancellationToken cancellation = default, ulong first = 0)
    {
        var extents = new LooseExtents(context);
        var after = first == 0 ? null : RemoteNames.ExtentsOf(first);
        foreach (var listed in await context.ListAsync(RemoteNames.Extents, after, cancellation))
        {
            if (!RemoteNames.TryParseExtent(listed.Name, out var parts)) continue;
            if (!extents.byFile.TryGetValue(parts.Fnode, out var known)) extents.byFile[parts.Fnode] = known = [];
            known.Add((listed.Name, parts.HashPrefix, listed.SizeBytes));
        }
        return extents;
    }

    /// <summary>Whether there are bytes that may be a file's.</summary>
    public bool Has(ulong fnode, long sizeBytes) =>
        byFile.TryGetValue(fnode, out var known) && known.Exists(e => e.SizeBytes == sizeBytes);

    /// <summary>Those whose names are not known to the caller, with their sizes.</summary>
    public IReadOnlyList<(string Name, long SizeBytes)> Except(IReadOnlySet<string> known) =>
        [.. byFile.Values.SelectMany(e => e).Where(e => !known.Contains(e.Name)).Select(e => (e.Name, e.SizeBytes))];

    /// <summary>
    /// Fetches one of them, and compares it with the part of the hash that its name has: of what lived and died between
    /// two hints nothing else is known here.
    /// </summary>
    public async ValueTask CheckAsync(string name, long sizeBytes, string path, Action<long>? progressed,
        CancellationToken cancellation)
    {
        if (!RemoteNames.TryParseExtent(name, out var parts)) return;
        await new Extents(context).FetchAsync(name, sizeBytes, hash => hash.Prefix == parts.HashPrefix, path,
            progressed, cancellation);
        File.Delete(path);
    }

    /// <summary>
    /// Fetches a sealed file's bytes into a new file, verifies them, and makes them durable. Throws Corrupt when none
    /// of
    /// what is there is them.
    /// </summary>
    public async ValueTask FetchAsync(LiveFile file, string path, Action<long>? progressed = null,
        CancellationToken cancellation = default)
    {
        RecoveryException? wrong = null;
        foreach (var (name, prefix, size) in byFile.GetValueOrDefault(file.Fnode) ?? [])
        {
            if (size != file.SizeBytes) continue;
            try
            {
                await new Extents(context).FetchAsync(name, size, hash => hash.Prefix == prefix, path, progressed,
                    cancellation);
                if (ChecksumOf(path) == file.Crc32C) return;
                // An fnode was given twice, and the other file was as large.
                File.Delete(path);
            }
            catch (RecoveryException e) when (e.Error == RecoveryError.Corrupt) { wrong = e; }
        }
        throw wrong ?? new RecoveryException(RecoveryError.Corrupt,
            $"{context.Store.Location} has no extent with the bytes of {file.Name} (fnode {file.Fnode:x16}, "
                + $"{file.SizeBytes} bytes).",
            "Restore an earlier state")
        { Path = context.Store.Location };
    }

    static uint ChecksumOf(string path)
    {
        using var stream = RegularFile.OpenRead(path);
        var buffer = new byte[1 << 20];
        var crc = 0u;
        while (stream.Read(buffer) is var got and > 0) crc = Crc32C.Compute(buffer.AsSpan(0, got), crc);
        return crc;
    }
}
