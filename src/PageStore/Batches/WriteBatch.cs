using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.PageStore.Batches;

/// <summary>What a write batch does to a key, or to itself.</summary>
internal enum BatchOperationKind
{
    Put,
    Delete,
    SingleDelete,
    DeleteRange,
    Merge,
    Entity,
    BlobIndex,
    LogData,
    Prepare,
    Commit,
    Rollback,
}

/// <summary>One thing that a write batch does.</summary>
/// <param name="Kind">What.</param>
/// <param name="Family">The number of the column family; null where it is about none.</param>
/// <param name="Key">The key, or a range's first; the name of a transaction; data for the log.</param>
/// <param name="Value">The value, or the key that a range ends before; null where there is none.</param>
internal sealed record BatchOperation(BatchOperationKind Kind, uint? Family, byte[] Key, byte[]? Value);

/// <summary>A write batch, as a record of a write-ahead log has it.</summary>
/// <param name="Sequence">RocksDB's number of its first change.</param>
/// <param name="Operations">What it does, in order.</param>
internal sealed record WriteBatch(ulong Sequence, IReadOnlyList<BatchOperation> Operations)
{
    /// <summary>The tags of RocksDB 7.8 that may be in a write-ahead log.</summary>
    const byte Deletion = 0x0, Value = 0x1, Merge = 0x2, LogData = 0x3, FamilyDeletion = 0x4, FamilyValue = 0x5,
        FamilyMerge = 0x6, SingleDeletion = 0x7, FamilySingleDeletion = 0x8, BeginPrepare = 0x9, EndPrepare = 0xA,
        Commit = 0xB, Rollback = 0xC, Nothing = 0xD, FamilyRangeDeletion = 0xE, RangeDeletion = 0xF,
        FamilyBlobIndex = 0x10, BlobIndex = 0x11, BeginPersistedPrepare = 0x12, BeginUnprepare = 0x13,
        CommitWithTimestamp = 0x15, Entity = 0x16, FamilyEntity = 0x17;

    /// <summary>Many times what a batch has: each takes more memory here than it may have bytes there.</summary>
    const int OperationsMax = 8 << 20;

    /// <summary>Reads one. Throws Corrupt when it is not what RocksDB writes.</summary>
    public static WriteBatch Read(ReadOnlySpan<byte> bytes, string file)
    {
        var cursor = new ByteCursor(bytes);
        if (!cursor.TryFixed64(out var sequence) || !cursor.TryFixed32(out var count))
            throw Damaged(file, "it is too short");
        var operations = new List<BatchOperation>();
        var counted = 0L;
        while (!cursor.IsAtEnd)
        {
            if (!TryRead(ref cursor, out var operation)) throw Damaged(file, "a part of it makes no sense");
            if (operation is null) continue;
            if (operations.Count == OperationsMax) throw Damaged(file, $"it does more than {OperationsMax} things");
            operations.Add(operation);
            if (operation.Kind < BatchOperationKind.LogData) counted++;
        }
        if (counted != count) throw Damaged(file, $"it has {counted} changes, and says {count}");
        return new WriteBatch(sequence, operations);
    }

    static bool TryRead(ref ByteCursor cursor, out BatchOperation? operation)
    {
        operation = null;
        if (!cursor.TryByte(out var tag)) return false;
        switch (tag)
        {
            case Nothing or BeginPrepare or BeginPersistedPrepare or BeginUnprepare: return true;
            case LogData: return TryName(BatchOperationKind.LogData, ref cursor, out operation);
            case EndPrepare: return TryName(BatchOperationKind.Prepare, ref cursor, out operation);
            case Commit: return TryName(BatchOperationKind.Commit, ref cursor, out operation);
            case Rollback: return TryName(BatchOperationKind.Rollback, ref cursor, out operation);
            case CommitWithTimestamp:
                return cursor.TryString(out _) && TryName(BatchOperationKind.Commit, ref cursor, out operation);
        }
        if (KindOf(tag) is not var (kind, isNamed, hasValue)) return false;
        var family = 0u;
        if (isNamed && !cursor.TryVarint32(out family)) return false;
        if (!cursor.TryString(out var key)) return false;
        ReadOnlySpan<byte> value = default;
        if (hasValue && !cursor.TryString(out value)) return false;
        operation = new BatchOperation(kind, family, key.ToArray(), hasValue ? value.ToArray() : null);
        return true;
    }

    static bool TryName(BatchOperationKind kind, ref ByteCursor cursor, out BatchOperation? operation)
    {
        operation = null;
        if (!cursor.TryString(out var name)) return false;
        operation = new BatchOperation(kind, null, name.ToArray(), null);
        return true;
    }

    static (BatchOperationKind Kind, bool IsNamed, bool HasValue)? KindOf(byte tag) => tag switch
    {
        Value or FamilyValue => (BatchOperationKind.Put, tag == FamilyValue, true),
        Deletion or FamilyDeletion => (BatchOperationKind.Delete, tag == FamilyDeletion, false),
        SingleDeletion or FamilySingleDeletion => (BatchOperationKind.SingleDelete, tag == FamilySingleDeletion, false),
        RangeDeletion or FamilyRangeDeletion => (BatchOperationKind.DeleteRange, tag == FamilyRangeDeletion, true),
        Merge or FamilyMerge => (BatchOperationKind.Merge, tag == FamilyMerge, true),
        Entity or FamilyEntity => (BatchOperationKind.Entity, tag == FamilyEntity, true),
        BlobIndex or FamilyBlobIndex => (BatchOperationKind.BlobIndex, tag == FamilyBlobIndex, true),
        _ => null,
    };

    static RecoveryException Damaged(string file, string what) => new(RecoveryError.Corrupt,
        $"A write batch in {file} is not what RocksDB writes: {what}.",
        "Do not trust the remote before you know who wrote that.")
    { Path = file };
}
