using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Past;

/// <summary>A record that is kept for later.</summary>
internal sealed class HeldRecord
{
    readonly RecordKind kind;
    readonly byte flags;
    readonly byte[] body;

    public HeldRecord(in Record record) =>
        (Lsn, kind, flags, TimeMs, body) =
            (record.Lsn, record.Kind, record.Flags, record.UnixTimeMs, record.Body.ToArray());

    public ulong Lsn { get; }

    public long TimeMs { get; }

    public Record Record => new(Lsn, kind, flags, TimeMs, 0, body);
}
