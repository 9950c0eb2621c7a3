using System.Buffers.Binary;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Pages;

/// <summary>
/// A view of one part of a commit, read from a record's body: enumerate it for its pages. Nothing is allocated, and
/// every number is checked against what it is a number of: bytes that are not a part are reported as Corrupt.
/// </summary>
internal readonly ref struct PageCommit
{
    readonly ReadOnlySpan<byte> pages;
    readonly ulong lsn;

    PageCommit(ReadOnlySpan<byte> body, ulong lsn)
    {
        this.lsn = lsn;
        Database = BinaryPrimitives.ReadUInt32LittleEndian(body);
        PageSize = (int)BinaryPrimitives.ReadUInt32LittleEndian(body[4..]);
        SizeBytes = (long)BinaryPrimitives.ReadUInt64LittleEndian(body[8..]);
        Checksum = BinaryPrimitives.ReadUInt64LittleEndian(body[16..]);
        Flags = body[24];
        Count = BinaryPrimitives.ReadUInt32LittleEndian(body[25..]);
        pages = body[PageCommitFormat.HeaderBytes..];
    }

    /// <summary>Reads the header; the pages are checked as they are enumerated.</summary>
    public static PageCommit Read(in Record record) => Read(record.Body, record.Lsn);

    /// <summary>Reads the header; the pages are checked as they are enumerated. The LSN is for messages.</summary>
    public static PageCommit Read(ReadOnlySpan<byte> body, ulong lsn)
    {
        if (body.Length < PageCommitFormat.HeaderBytes)
            throw Damage(lsn, "is too short");
        var commit = new PageCommit(body, lsn);
        if (!PageCommitFormat.IsPossible(commit.PageSize, commit.SizeBytes)
            || (commit.PageSize == 0 && commit.Count > 0))
            throw Damage(lsn,
                $"claims pages of {(uint)commit.PageSize} bytes in a database of {(ulong)commit.SizeBytes}");
        return commit;
    }

    /// <summary>The database.</summary>
    public uint Database { get; }
    /// <summary>The page size after the commit.</summary>
    public int PageSize { get; }
    /// <summary>The database's size after the commit (in the last part).</summary>
    public long SizeBytes { get; }
    /// <summary>The database's checksum after the commit (in the last part).</summary>
    public ulong Checksum { get; }
    /// <summary>See <see cref="PageCommitFlags"/>.</summary>
    public byte Flags { get; }
    /// <summary>How many pages the part has.</summary>
    public uint Count { get; }
    /// <summary>Whether all earlier pages are forgotten first.</summary>
    public bool IsRebase => (Flags & PageCommitFlags.Rebase) != 0;
    /// <summary>Whether this is the last part for its database in the group.</summary>
    public bool IsLastPart => (Flags & PageCommitFlags.LastPart) != 0;

    /// <summary>The pages, in the order of their numbers.</summary>
    public Enumerator GetEnumerator() => new(pages, Count, lsn);

    static RecoveryException Damage(ulong lsn, string what) => new(RecoveryError.Corrupt,
        $"The page commit at LSN {lsn} {what}. Its checksum was right, so it was written so: report it, "
        + $"and restore to LSN {lsn - 1}.")
    { Lsn = lsn };

    /// <summary>Goes through the pages.</summary>
    public ref struct Enumerator
    {
        readonly ulong lsn;
        ReadOnlySpan<byte> rest;
        uint left, page;

        internal Enumerator(ReadOnlySpan<byte> pages, uint count, ulong lsn)
        {
            rest = pages;
            left = count;
            this.lsn = lsn;
        }

        /// <summary>The page.</summary>
        public PageChange Current { get; private set; }

        /// <summary>Reads and checks the next page; false after the last.</summary>
        public bool MoveNext()
        {
            if (left == 0)
                return rest.IsEmpty ? false : throw Damage(lsn, $"has {rest.Length} bytes behind its last page");
            left--;
            if (!Varint.TryRead(ref rest, out var step) || step == 0 || step > uint.MaxValue - page || rest.IsEmpty)
                throw Damage(lsn, $"has no valid page number after page {page}");
            page += step;
            var form = (PageForm)rest[0];
            rest = rest[1..];
            if (!Varint.TryRead(ref rest, out var length) || length is 0 or > PageCommitFormat.MaxPageBytes)
                throw Damage(lsn, $"has no valid length for page {page}");
            int payload;
            switch (form)
            {
                case PageForm.Whole when length <= rest.Length:
                    payload = (int)length;
                    break;
                case PageForm.Ranges when PageDelta.TryMeasure(rest, (int)length, out payload):
                    break;
                case PageForm.Zeros:
                    payload = 0;
                    break;
                default:
                    throw Damage(lsn, $"has no valid contents for page {page} (form {(byte)form}, {length} bytes)");
            }
            Current = new PageChange(page, form, (int)length, rest[..payload]);
            rest = rest[payload..];
            return true;
        }
    }
}

/// <summary>One page of a commit.</summary>
internal readonly ref struct PageChange
{
    internal PageChange(uint page, PageForm form, int length, ReadOnlySpan<byte> payload)
    {
        Page = page;
        Form = form;
        Length = length;
        Payload = payload;
    }

    /// <summary>Its number, from 1.</summary>
    public uint Page { get; }
    /// <summary>How it is written.</summary>
    public PageForm Form { get; }
    /// <summary>The bytes of the page.</summary>
    public int Length { get; }
    /// <summary>What is written: all bytes, a delta that was checked, or nothing.</summary>
    public ReadOnlySpan<byte> Payload { get; }

    /// <summary>
    /// Makes the page of its previous version, in place. <paramref name="page"/> has <see cref="Length"/> bytes; only
    /// for <see cref="PageForm.Ranges"/> does it matter what they are.
    /// </summary>
    public void ApplyTo(Span<byte> page)
    {
        if (page.Length != Length)
            throw new RecoveryException(RecoveryError.Corrupt,
                $"Page {Page} has {page.Length} bytes where the log has a change for {Length}: "
                + "the pages and the log do not belong together.",
                "Restore the store from its remote.");
        switch (Form)
        {
            case PageForm.Whole:
                Payload.CopyTo(page);
                break;
            case PageForm.Ranges:
                PageDelta.Apply(Payload, page);
                break;
            default:
                page.Clear();
                break;
        }
    }
}
