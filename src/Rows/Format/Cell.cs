namespace RecoveryVfs.Rows.Format;

/// <summary>Where the parts of one cell are in its page.</summary>
internal struct Cell
{
    /// <summary>The page of the keys before this cell's; 0 in a leaf.</summary>
    public uint LeftChild;

    /// <summary>The key, in a tree of rowids.</summary>
    public long RowId;

    /// <summary>All of the payload, in bytes, and how much of it is in the page, from where on.</summary>
    public long PayloadBytes;

    public int LocalAt, LocalBytes;

    /// <summary>The first page of what is not in the cell; 0 when all is.</summary>
    public uint Overflow;
}
