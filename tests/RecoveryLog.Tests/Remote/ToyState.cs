using System.Buffers.Binary;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Tests.Remote;

/// <summary>
/// What a toy store holds, and what a restore must give back: numbers by key (its "pages"), and plain files by name.
/// Everything in it follows from the records, so it can be made from any list of them.
/// </summary>
sealed class ToyState
{
    public SortedDictionary<byte, ulong> Pages { get; } = [];
    public Dictionary<ulong, (string Name, byte[] Bytes)> Plain { get; } = [];

    public ToyState Copy()
    {
        var copy = new ToyState();
        foreach (var (key, value) in Pages) copy.Pages[key] = value;
        foreach (var (fnode, file) in Plain) copy.Plain[fnode] = file;
        return copy;
    }

    /// <summary>A commit's body: key, value, and some bytes that only make it longer.</summary>
    public static byte[] Commit(byte key, ulong value, int padding)
    {
        var body = new byte[9 + padding];
        body[0] = key;
        BinaryPrimitives.WriteUInt64LittleEndian(body.AsSpan(1), value);
        return body;
    }

    public void Apply(in Record record, ulong pagesFrom = 0, ulong filesFrom = 0)
    {
        if (record.Kind == RecordKind.PageCommit)
        {
            if (record.Lsn >= pagesFrom)
                Pages[record.Body[0]] = BinaryPrimitives.ReadUInt64LittleEndian(record.Body[1..]);
            return;
        }
        if (record.Lsn < filesFrom) return;
        switch (record.Kind)
        {
            case RecordKind.FileCreated:
                var created = FileRecords.ReadCreated(record.Body);
                if (created.Class == FileClass.Plain) Plain[created.Fnode] = (created.Name, []);
                break;
            case RecordKind.FileDeleted:
                Plain.Remove(FileRecords.ReadDeleted(record.Body));
                break;
            case RecordKind.FileWritten:
                var write = FileRecords.ReadWritten(record.Body);
                if (!Plain.TryGetValue(write.Fnode, out var file)) break;
                var bytes = file.Bytes;
                if (bytes.Length < write.Offset + write.Bytes.Length)
                    Array.Resize(ref bytes, (int)write.Offset + write.Bytes.Length);
                else bytes = (byte[])bytes.Clone();
                write.Bytes.CopyTo(bytes.AsSpan((int)write.Offset));
                Plain[write.Fnode] = (file.Name, bytes);
                break;
        }
    }

    /// <summary>The pages as the bytes of a "table file".</summary>
    public byte[] ToTable()
    {
        var table = new byte[Pages.Count * 9];
        var at = 0;
        foreach (var (key, value) in Pages)
        {
            table[at] = key;
            BinaryPrimitives.WriteUInt64LittleEndian(table.AsSpan(at + 1), value);
            at += 9;
        }
        return table;
    }

    public void LoadTable(ReadOnlySpan<byte> table)
    {
        for (; table.Length > 0; table = table[9..])
            Pages[table[0]] = BinaryPrimitives.ReadUInt64LittleEndian(table[1..]);
    }

    /// <summary>Everything, comparable.</summary>
    public string Describe() =>
        string.Join(' ', Pages.Select(p => $"{p.Key}={p.Value:x}")) + " | "
        + string.Join(' ', Plain.Values.OrderBy(f => f.Name, StringComparer.Ordinal)
        .Select(f => $"{f.Name}:{Convert.ToHexString(f.Bytes)}"));
}
