using System.Buffers.Binary;

namespace RecoveryVfs.Rows.Format;

/// <summary>
/// One page of a b-tree, copied and checked:
/// <code>
/// 0 type (2, 5 interior; 10, 13 leaf; 5 and 13 of rowids)   3 number of cells (u16)   8 right child (u32, interior)
/// 8 or 12: where each cell is (u16 each), in key order;  cells;  reserved bytes
/// </code>
/// On page 1 all of this comes after the 100 bytes of the file's header, and offsets still count from the page's start.
/// </summary>
internal sealed class TreePage(Pages pages)
{
    readonly byte[] bytes = pages.Buffers.Take();
    int pointersAt, contentAt;

    public uint Number { get; private set; }
    public bool IsLeaf { get; private set; }
    public int CellCount { get; private set; }
    public uint RightChild { get; private set; }
    public ReadOnlySpan<byte> Bytes => bytes;

    /// <summary>Whether the tree is one of rowids (else its keys are records).</summary>
    public bool OfRowIds { get; private set; }

    /// <summary>The cell or child that a walk is at.</summary>
    public int Index;

    /// <summary>
    /// Takes page <paramref name="page"/> in, which <paramref name="from"/> points to; from <paramref name="same"/>,
    /// when that is known to hold the same bytes.
    /// </summary>
    public void Load(uint page, uint from, bool ofRowIds, TreePage? same = null)
    {
        if (same is null) pages.Read(page, from, bytes);
        else same.Bytes.CopyTo(bytes);
        Number = page;
        Index = 0;
        var start = page == 1 ? FileHeader.Bytes : 0;
        var type = bytes[start];
        if (!IsType(type)) throw Damaged($"its type is {type}, which no page of a b-tree has");
        if ((type is 5 or 13) != ofRowIds)
            throw Damaged(
                $"its type is {type}, and page {from} takes it for one of {(ofRowIds ? "a table" : "an index")}");
        Parse(start);
    }

    /// <summary>
    /// Takes a page in that nothing is known of; false when it is none of a tree. (The first page is not asked for.)
    /// </summary>
    public bool TryLoad(uint page)
    {
        pages.Read(page, page, bytes);
        if (!IsType(bytes[0])) return false;
        Number = page;
        Index = 0;
        Parse(0);
        return true;
    }

    static bool IsType(byte type) => type is 2 or 5 or 10 or 13;

    void Parse(int start)
    {
        var type = bytes[start];
        (IsLeaf, OfRowIds) = (type is 10 or 13, type is 5 or 13);
        CellCount = BinaryPrimitives.ReadUInt16BigEndian(bytes.AsSpan(start + 3));
        pointersAt = start + (IsLeaf ? 8 : 12);
        RightChild = IsLeaf ? 0 : BinaryPrimitives.ReadUInt32BigEndian(bytes.AsSpan(start + 8));
        contentAt = pointersAt + 2 * CellCount;
        if (contentAt > pages.UsableSize) throw Damaged($"it claims to have {CellCount} cells");
    }

    /// <summary>The child before cell <paramref name="index"/>, or the right one after the last.</summary>
    public uint Child(int index) =>
        index == CellCount ? RightChild : BinaryPrimitives.ReadUInt32BigEndian(bytes.AsSpan(CellAt(index)));

    public void Read(int index, out Cell cell)
    {
        cell = default;
        var at = CellAt(index);
        var usable = bytes.AsSpan(0, pages.UsableSize);
        if (!IsLeaf)
        {
            cell.LeftChild = BinaryPrimitives.ReadUInt32BigEndian(usable[at..]);
            at += 4;
        }
        if (IsLeaf || !OfRowIds)
        {
            if (!Varint.TryRead(usable, ref at, out var payload)) throw CutOff(index);
            cell.PayloadBytes = (long)payload;
        }
        if (OfRowIds)
        {
            if (!Varint.TryRead(usable, ref at, out var rowId)) throw CutOff(index);
            cell.RowId = (long)rowId;
            if (!IsLeaf) return;
        }
        if (cell.PayloadBytes < 0 || cell.PayloadBytes > (long)pages.Count * pages.UsableSize)
            throw Damaged($"cell {index} claims {(ulong)cell.PayloadBytes} bytes, more than the whole database has");
        cell.LocalAt = at;
        cell.LocalBytes = pages.LocalBytes((ulong)cell.PayloadBytes, OfRowIds);
        var spills = cell.LocalBytes < cell.PayloadBytes;
        if (at + cell.LocalBytes + (spills ? 4 : 0) > usable.Length) throw CutOff(index);
        if (spills) cell.Overflow = BinaryPrimitives.ReadUInt32BigEndian(usable[(at + cell.LocalBytes)..]);
    }

    /// <summary>Gives its room back; it must not be used after that.</summary>
    public void Release() => pages.Buffers.Give(bytes);

    public DatabaseDamagedException Damaged(string what) => new(Number, what);

    int CellAt(int index)
    {
        int at = BinaryPrimitives.ReadUInt16BigEndian(bytes.AsSpan(pointersAt + 2 * index));
        if (at < contentAt || at + 4 > pages.UsableSize) throw Damaged($"cell {index} is said to be at byte {at}");
        return at;
    }

    DatabaseDamagedException CutOff(int index) => Damaged($"cell {index} goes on past the page's end");
}
