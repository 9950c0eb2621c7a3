namespace RecoveryVfs.Rows.Tests;

/// <summary>The bytes of a database file, which counts what is read of it.</summary>
internal sealed class MemoryPages : IPageSource
{
    readonly byte[] file;

    public MemoryPages(byte[] file, int? pageSize = null)
    {
        this.file = file;
        int named = file.Length < 18 ? 4096 : (file[16] << 8) | file[17];
        PageSize = pageSize ?? (named == 1 ? 65536 : named);
    }

    public int PageSize { get; }
    public uint PageCount => (uint)(file.Length / PageSize);
    public int Reads { get; set; }

    public void Read(uint page, Span<byte> destination)
    {
        Reads++;
        Page(page).CopyTo(destination);
    }

    public ReadOnlySpan<byte> Page(uint page) => file.AsSpan((int)(page - 1) * PageSize, PageSize);
}
