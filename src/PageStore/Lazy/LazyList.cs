using System.Globalization;
using System.Text;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.PageStore.Lazy;

/// <summary>A file of the page store that comes when it is read.</summary>
/// <param name="Name">Its name in the page store's directory.</param>
/// <param name="Extent">Its bytes in the remote.</param>
internal readonly record struct LazyEntry(string Name, Extent Extent);

/// <summary>Where the missing bytes of a directory's files are: the text of its mark <c>lazy</c>.</summary>
/// <remarks>
/// Lines of text, fields divided by one space:
/// <code>
///   recovery lazy 1
///   HINTS-LSN URL
///   NAME FNODE EPOCH SIZE SHA256 LIST      for each file; numbers decimal, the fnode and the hashes hexadecimal
/// </code>
/// LIST is the SHA-256 of the list of its blocks' hashes, zeros when it has none. The text never changes while the
/// directory is lazy. Whether a file is whole, its record says: it is gone then.
/// </remarks>
/// <param name="HintsLsn">The hints that the directory began with: they keep the extents in the remote.</param>
/// <param name="Url">The remote.</param>
/// <param name="Files">The files.</param>
internal sealed record LazyList(ulong HintsLsn, string Url, IReadOnlyList<LazyEntry> Files)
{
    const string FirstLine = "recovery lazy 1";
    const int Fields = 6;

    public string ToText()
    {
        var text = new StringBuilder();
        text.Append(FirstLine).Append('\n');
        text.Append(CultureInfo.InvariantCulture, $"{HintsLsn} {Url}\n");
        foreach (var (name, extent) in Files)
            text.Append(CultureInfo.InvariantCulture,
                $"{name} {extent.Fnode:x16} {extent.Epoch} {extent.SizeBytes} {extent.Hash} {extent.List}\n");
        return text.ToString();
    }

    /// <summary>That of a directory whose files are not all here.</summary>
    public static LazyList Of(StoreHome home) => Parse(
        home.LazyList ?? throw new InvalidOperationException($"{home.Path} is whole."),
        Path.Combine(home.Path, "lazy"));

    /// <summary>Reads the text. Throws Corrupt or TooNew, naming the file that it is from.</summary>
    public static LazyList Parse(string text, string path)
    {
        var lines = text.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        if (lines.Length < 2 || lines[0] != FirstLine)
            throw lines is [{ } first, ..] && first.StartsWith("recovery lazy ", StringComparison.Ordinal)
                ? new RecoveryException(RecoveryError.TooNew,
                    $"{path} was written by a newer version ({first}).",
                    "Use that version.")
                { Path = path }
                : Damaged(path, 1);
        var head = lines[1].Split(' ', 2);
        if (head.Length != 2 || !ulong.TryParse(head[0], NumberStyles.None, CultureInfo.InvariantCulture, out var lsn))
            throw Damaged(path, 2);
        var files = new List<LazyEntry>(lines.Length);
        for (var i = 2; i < lines.Length; i++) files.Add(TryParse(lines[i]) ?? throw Damaged(path, i + 1));
        return new LazyList(lsn, head[1], files);
    }

    static LazyEntry? TryParse(string line)
    {
        var fields = line.Split(' ');
        if (fields.Length != Fields || fields[4].Length != 2 * ObjectHash.Bytes
            || fields[5].Length != 2 * ObjectHash.Bytes
            || TrackedName.RocksClassOf(fields[0]) is not (FileClass.RocksBlob or FileClass.RocksTable)
            || !ulong.TryParse(fields[1], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var fnode)
            || !ulong.TryParse(fields[2], NumberStyles.None, CultureInfo.InvariantCulture, out var epoch)
            || !long.TryParse(fields[3], NumberStyles.None, CultureInfo.InvariantCulture, out var size))
            return null;
        try
        {
            return new LazyEntry(fields[0],
                new Extent(fnode, epoch, size, new ObjectHash(Convert.FromHexString(fields[4])))
                {
                    List = new ObjectHash(Convert.FromHexString(fields[5])),
                });
        }
        catch (FormatException)
        {
            return null;
        }
    }

    static RecoveryException Damaged(string path, int line) => new(RecoveryError.Corrupt,
        $"{path}, which says where the bytes of this directory's files are, is damaged in line {line}.",
        "Delete the directory and start the follower again.")
    { Path = path };
}
