using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;
using Record = RecoveryVfs.RecoveryLog.Records.Record;

namespace RecoveryVfs;

/// <summary>
/// Rewrites a real <c>file://</c> remote as somebody would who may write to it and means harm: every hash, checksum and
/// chain is right, the contents are what a test wants.
/// </summary>
internal static class CraftedRemote
{
    /// <summary>A record with the body it is to have; null leaves it as it is.</summary>
    public delegate byte[]? BodyOf(in Record record);

    /// <summary>Changes what all hints say of files and databases.</summary>
    public static void EditHints(string directory, Func<Hints, Hints> edit)
        => EditHints(directory, (header, hints) => (header, edit(hints)));

    static void EditHints(string directory, Func<RemoteHintsHeader, Hints, (RemoteHintsHeader, Hints)> edit)
    {
        foreach (var path in Directory.GetFiles(Path.Combine(directory, "hints")))
        {
            var read = RemoteHintsFormat.Read(File.ReadAllBytes(path), "hints/" + Path.GetFileName(path));
            var (header, hints) = edit(read.Header, read.Hints);
            File.WriteAllBytes(path, RemoteHintsFormat.Write(header, [.. read.Extents.Values], hints));
        }
    }

    /// <summary>Changes the names of the files for which the edit has one.</summary>
    public static void RenameFiles(string directory, Func<LiveFile, string?> name)
        => EditHints(directory, hints => hints with
        {
            Files = [.. hints.Files.Select(f => name(f) is { } other ? f with { Names = [other] } : f)],
        });

    /// <summary>Adds a file whose bytes are in the hints.</summary>
    public static void AddFile(string directory, FileClass fileClass, string name, byte[] bytes)
        => EditHints(directory, hints => hints with
        {
            NextFnode = hints.NextFnode + 1,
            Files = [.. hints.Files,
            new LiveFile { Fnode = hints.NextFnode, Class = fileClass, Names = [name], SizeBytes = bytes.Length,
            Bytes = bytes }],
        });

    /// <summary>
    /// Changes the bytes of sealed files: their objects, under the names that their hashes give them, and what hints
    /// say of them.
    /// </summary>
    public static void EditExtents(string directory, Func<LiveFile, byte[], byte[]?> edit)
    {
        foreach (var path in Directory.GetFiles(Path.Combine(directory, "hints")))
        {
            var read = RemoteHintsFormat.Read(File.ReadAllBytes(path), "hints/" + Path.GetFileName(path));
            var extents = read.Extents.ToDictionary();
            var files = new List<LiveFile>();
            foreach (var file in read.Hints.Files)
            {
                files.Add(file);
                if (!extents.TryGetValue(file.Fnode, out var extent)
                    || edit(file, File.ReadAllBytes(Path.Combine(directory, extent.Name))) is not { } bytes)
                    continue;
                var other = extent with { SizeBytes = bytes.Length, Hash = ObjectHash.Of(bytes), List = default };
                File.WriteAllBytes(Path.Combine(directory, other.Name), bytes);
                if (bytes.Length > BlockList.ListlessBytes) other = WithList(directory, other, bytes);
                extents[file.Fnode] = other;
                var hash = new byte[ObjectHash.Bytes];
                other.Hash.CopyTo(hash);
                files[^1] = file with { SizeBytes = bytes.Length, Crc32C = Crc32C.Compute(bytes), Sha256 = hash };
            }
            File.WriteAllBytes(path,
                RemoteHintsFormat.Write(read.Header, [.. extents.Values], read.Hints with { Files = files }));
        }
    }

    static Extent WithList(string directory, Extent extent, byte[] bytes)
    {
        using var builder = new BlockList.Builder(BlockList.ShiftOf(bytes.Length));
        builder.Append(bytes);
        var list = builder.Finish().List!;
        File.WriteAllBytes(Path.Combine(directory, extent.ListName), list.Bytes.ToArray());
        return extent with { List = list.Hash };
    }

    /// <summary>
    /// Changes the bodies of records in all segments, chains the segments anew, and has the hints point at them.
    /// </summary>
    public static void EditRecords(string directory, BodyOf edit)
    {
        var chained = new Dictionary<ObjectHash, ObjectHash>();
        ObjectHash previous = default;
        foreach (var path in Directory.GetFiles(Path.Combine(directory, "log")).Order(StringComparer.Ordinal))
        {
            using var segment = RemoteSegment.Parse("log/" + Path.GetFileName(path), File.ReadAllBytes(path));
            using var builder = new SegmentBuilder();
            using (var records = segment.OpenRecords())
                while (records.TryRead(out var record))
                    builder.Add(edit(record) is { } body
                        ? new Record(record.Lsn, record.Kind, record.Flags, record.UnixTimeMs, 0, body)
                        : record);
            using var packed =
                builder.Finish(segment.Header.LogId, segment.Header.Epoch, segment.Header.Author, previous);
            using (var file = File.Create(path))
            using (var content = packed.Content.Open()) content.CopyTo(file);
            chained[segment.Hash] = packed.Hash;
            previous = packed.Hash;
        }
        EditHints(directory, (header, hints) =>
            (chained.TryGetValue(header.Start.Hash, out var hash)
                ? header with { Start = header.Start with { Hash = hash } }
                : header, hints));
    }

    /// <summary>The bytes of a name behind so many other bytes of a body, whatever the name is.</summary>
    public static byte[] WithName(ReadOnlySpan<byte> body, int at, string name)
        => [.. body[..at], .. System.Text.Encoding.UTF8.GetBytes(name)];
}
