using System.Globalization;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.RecoveryLog.Remote.Archives;

/// <summary>Reads bytes of a database's file; returns how many there were.</summary>
internal delegate int ArchivedBytes(long offset, Span<byte> destination);

/// <summary>
/// Snapshot files that hold pages of one database, as its plain file has them: all, or a range. Those of one state,
/// in any order, make the file.
/// </summary>
internal static class PagesArchive
{
    /// <summary>Of one object. A page has at most 64 KiB.</summary>
    const int ObjectBytes = 1 << 20;

    const string Prefix = "pages/";

    /// <summary>Writes pages in memory that does not depend on their number; returns the identity.</summary>
    public static async Task<string> WriteAsync(ArchiveStream to, ArchiveDescription description, ArchivedBytes read,
        Action<long> progressed, CancellationToken cancellation)
    {
        var pages = description.Pages!;
        await to.BeginAsync(description, cancellation);
        var perObject = (uint)(ObjectBytes / pages.PageSize);
        var buffer = new byte[ObjectBytes];
        for (var first = pages.First; first <= pages.Last;)
        {
            var count = Math.Min(perObject, pages.Last - first + 1);
            var bytes = buffer.AsMemory(0, (int)count * pages.PageSize);
            bytes.Span[read((first - 1L) * pages.PageSize, bytes.Span)..].Clear();
            await to.AddAsync(NameOf(first), bytes, cancellation);
            progressed(bytes.Length);
            if (first + count < first) break;
            first += count;
        }
        return await to.EndAsync(cancellation);
    }

    /// <summary>
    /// What files that were opened hold together. Throws Invalid when they are not of one state of one database, and,
    /// unless <paramref name="mayLack"/>, when pages are missing.
    /// </summary>
    public static ArchivedPages Join(IReadOnlyList<ArchiveFile> files, bool mayLack)
    {
        var ordered = files.OrderBy(f => f.Description.Pages?.First).ToList();
        var (first, next) = (ordered[0], 1UL);
        foreach (var file in ordered)
        {
            if (file.Description.Pages is not { } pages || !first.Description.IsOfOneStateWith(file.Description))
                throw new RecoveryException(RecoveryError.Invalid,
                    $"{first.Path} and {file.Path} are not of one state of one database.",
                    "Give files that were made of the same moment (--lsn).")
                { Path = file.Path };
            ThrowUnlessWhole(file, pages);
            if (pages.First > next && !mayLack)
                throw new RecoveryException(RecoveryError.Invalid,
                    $"Pages {next} to {pages.First - 1} of {pages.Database} are in none of the files.",
                    "Give those that have them, too.")
                { Path = file.Path };
            next = Math.Max(next, pages.Last + 1UL);
        }
        var last = first.Description.Pages!.Count;
        return next > last || mayLack
            ? new ArchivedPages(ordered)
            : throw new RecoveryException(RecoveryError.Invalid,
                $"Pages {next} to {last} of {first.Description.Pages!.Database} are in none of the files.",
                "Give those that have them, too.")
            { Path = first.Path };
    }

    /// <summary>Every page that a file says it has is in one of its objects, and nothing else is.</summary>
    static void ThrowUnlessWhole(ArchiveFile file, ArchivePages pages)
    {
        ulong next = pages.First;
        foreach (var (name, (_, size)) in file.Objects.OrderBy(o => o.Key, StringComparer.Ordinal))
        {
            if (FirstOf(name, file.Path) != next || size % pages.PageSize != 0 || size == 0)
                throw RemoteFormat.Damaged(file.Path, $"its object {name} does not follow the one before");
            next += (ulong)(size / pages.PageSize);
        }
        if (next != pages.Last + 1UL)
            throw RemoteFormat.Damaged(file.Path, $"it ends before page {next}, and says that it has {pages.Last}");
    }

    /// <summary>The object that begins with a page.</summary>
    static string NameOf(uint page) => Prefix + page.ToString("x8", CultureInfo.InvariantCulture);

    /// <summary>The first page of an object. Throws Corrupt for a name that says none.</summary>
    internal static uint FirstOf(string name, string file) =>
        name.StartsWith(Prefix, StringComparison.Ordinal) && uint.TryParse(name.AsSpan(Prefix.Length),
            NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var page) && name == NameOf(page)
            ? page : throw RemoteFormat.Damaged(file, $"its object {name} is no run of pages");
}

/// <summary>Pages of a database that files hold together.</summary>
internal sealed class ArchivedPages(IReadOnlyList<ArchiveFile> files)
{
    /// <summary>What the first of them says of itself.</summary>
    public ArchiveDescription Description => files[0].Description;

    /// <summary>Writes them where they belong in the database's plain file.</summary>
    public void WriteTo(FileStream file, Action<long> progressed, CancellationToken cancellation)
    {
        var pages = Description.Pages!;
        file.SetLength((long)pages.Count * pages.PageSize);
        var buffer = new byte[256 << 10];
        foreach (var from in files)
            foreach (var (name, (offset, size)) in from.Objects)
            {
                var at = (PagesArchive.FirstOf(name, from.Path) - 1L) * pages.PageSize;
                if (at < 0 || at + size > file.Length)
                    throw RemoteFormat.Damaged(from.Path, $"its object {name} lies beyond the database's end");
                for (long done = 0; done < size;)
                {
                    cancellation.ThrowIfCancellationRequested();
                    var part = buffer.AsSpan(0, (int)Math.Min(buffer.Length, size - done));
                    var got = RandomAccess.Read(from.Handle, part, offset + done);
                    if (got == 0) throw RemoteFormat.Damaged(from.Path, "it was cut short while it was read");
                    RandomAccess.Write(file.SafeFileHandle, part[..got], at + done);
                    done += got;
                    progressed(got);
                }
            }
        file.Flush(flushToDisk: true);
    }
}
