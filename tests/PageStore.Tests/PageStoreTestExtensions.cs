using System.Buffers.Binary;
using RecoveryVfs.PageStore.Pages;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>Shorthand over the contract.</summary>
internal static class PageStoreTestExtensions
{
    extension(IPageStore store)
    {
        /// <summary>The whole value, or null.</summary>
        public byte[]? Get(uint database, uint page, IPageSnapshot? snapshot = null)
        {
            var length = store.Read(database, page, snapshot, []);
            if (length < 0)
                return null;
            var value = new byte[length];
            Assert.Equal(length, store.Read(database, page, snapshot, value));
            return value;
        }

        /// <summary>Applies what the action gathers, as this LSN.</summary>
        public void Commit(ulong? applied, Action<IPageBatch> gather)
        {
            using var batch = store.CreateBatch();
            gather(batch);
            store.Apply(batch, applied);
        }

        /// <summary>All pages in a range, in the order of a scan.</summary>
        public List<(uint Page, byte[] Value)> ScanAll(uint database, uint first = 0, uint last = uint.MaxValue,
            IPageSnapshot? snapshot = null)
        {
            var pages = new List<(uint, byte[])>();
            store.Scan(database, first, last, snapshot, (page, value) =>
            {
                pages.Add((page, value.ToArray()));
                return true;
            });
            return pages;
        }
    }

    /// <summary>
    /// A page whose content says which it is and of which LSN, half of it compressible; it verifies itself.
    /// </summary>
    public static byte[] Page(uint database, uint page, ulong lsn, int length = 4096)
    {
        var value = new byte[length];
        new Random(unchecked((int)(database * 31 + page * 7919 + (uint)lsn * 104729)))
            .NextBytes(value.AsSpan(0, length / 2));
        if (length >= 16)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(value, database);
            BinaryPrimitives.WriteUInt32LittleEndian(value.AsSpan(4), page);
            BinaryPrimitives.WriteUInt64LittleEndian(value.AsSpan(8), lsn);
        }
        return value;
    }

    /// <summary>The LSN that a page of <see cref="Page"/> carries, after checking every byte of it.</summary>
    public static ulong LsnOf(uint database, uint page, ReadOnlySpan<byte> value)
    {
        var lsn = BinaryPrimitives.ReadUInt64LittleEndian(value[8..]);
        Assert.True(value.SequenceEqual(Page(database, page, lsn, value.Length)),
            $"page {page} of database {database} is not what LSN {lsn} wrote");
        return lsn;
    }
}
