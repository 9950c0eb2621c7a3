namespace RecoveryVfs.Rows.Format;

/// <summary>A page source with what its header says; every read of a page passes here and is checked.</summary>
internal sealed class Pages
{
    readonly IPageSource source;
    readonly byte[] first = [];

    /// <param name="source">The pages.</param>
    /// <param name="buffers">Those of another version, where they are of the same size.</param>
    public Pages(IPageSource source, PageBuffers? buffers = null)
    {
        this.source = source;
        Buffers = buffers?.PageSize == source.PageSize ? buffers : new PageBuffers(source.PageSize);
        if (source.PageSize is < 512 or > 65536 || !System.Numerics.BitOperations.IsPow2(source.PageSize))
            throw new ArgumentException($"A page of a SQLite database cannot have {source.PageSize} bytes.",
                nameof(source));
        if (source.PageCount == 0) return;
        first = new byte[source.PageSize];
        source.Read(1, first);
        Header = FileHeader.Parse(first);
        UsableSize = Header.UsableSize;
    }

    /// <summary>Null when nothing was ever written to the database.</summary>
    public FileHeader? Header { get; }

    /// <summary>Room for pages that are looked at.</summary>
    public PageBuffers Buffers { get; }

    public TextEncoding Encoding => Header?.Encoding ?? TextEncoding.Utf8;
    public int Size => source.PageSize;
    public uint Count => source.PageCount;
    public int UsableSize { get; }

    /// <summary>
    /// Whether both versions have the same schema: SQLite counts its changes, and the first page of its table is the
    /// same beyond the header.
    /// </summary>
    public bool HasSchemaOf(Pages other) => Header is not null && other.Header is not null
        && Header.SchemaCookie == other.Header.SchemaCookie
        && Header.SchemaFormat == other.Header.SchemaFormat && Header.Encoding == other.Header.Encoding
        && first.AsSpan(FileHeader.Bytes).SequenceEqual(other.first.AsSpan(FileHeader.Bytes));

    /// <summary>Reads <paramref name="page"/>, which <paramref name="from"/> points to.</summary>
    public void Read(uint page, uint from, Span<byte> destination)
    {
        if (page == 0 || page > Count)
            throw new DatabaseDamagedException(from, $"it points to page {page}, and the database has {Count} pages");
        source.Read(page, destination);
    }

    /// <summary>
    /// How many bytes of a payload of <paramref name="bytes"/> are in the cell itself; the rest is in overflow pages.
    /// </summary>
    public int LocalBytes(ulong bytes, bool tableLeaf)
    {
        var most = tableLeaf ? UsableSize - 35 : (UsableSize - 12) * 64 / 255 - 23;
        if (bytes <= (ulong)most) return (int)bytes;
        var least = (UsableSize - 12) * 32 / 255 - 23;
        var fitting = least + (int)((bytes - (ulong)least) % (ulong)(UsableSize - 4));
        return fitting <= most ? fitting : least;
    }
}
