using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using RecoveryVfs.PageStore.Batches;
using RecoveryVfs.PageStore.Tails;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Tail;

/// <summary>Writes the write batches of a RocksDB as lines.</summary>
sealed class BatchLines(Stream output, bool json, bool withValues) : Lines<TailedBatch>(output, json)
{
    protected override void WriteFields(Utf8JsonWriter writer, TailedBatch batch)
    {
        writer.WriteNumber("lsn", batch.Lsn);
        WriteTime(writer, batch.Time);
        writer.WriteNumber("sequence", batch.Batch.Sequence);
        writer.WriteStartArray("operations");
        foreach (var operation in batch.Batch.Operations) WriteJson(writer, batch, operation);
        writer.WriteEndArray();
        writer.WriteString("file", batch.File);
        writer.WriteNumber("epoch", batch.Epoch);
    }

    void WriteJson(Utf8JsonWriter writer, TailedBatch batch, BatchOperation operation)
    {
        writer.WriteStartObject();
        writer.WriteString("op", NameOf(operation.Kind));
        if (operation.Family is { } family) writer.WriteString("family", FamilyOf(batch, family));
        WriteJson(writer, operation.Family is null ? "name" : "key", operation.Key);
        if (operation is { Kind: BatchOperationKind.DeleteRange, Value: { } to }) WriteJson(writer, "to", to);
        else if (withValues && operation.Value is { } value) WriteJson(writer, "value", value);
        writer.WriteEndObject();
    }

    /// <summary>As the pairs that <c>recovery export</c> writes.</summary>
    static void WriteJson(Utf8JsonWriter writer, string name, byte[] bytes)
    {
        if (Utf8.IsValid(bytes))
        {
            writer.WriteString(name, bytes);
            return;
        }
        writer.WriteStartObject(name);
        writer.WriteBase64String("blob", bytes);
        writer.WriteEndObject();
    }

    static string NameOf(BatchOperationKind kind) => kind switch
    {
        BatchOperationKind.SingleDelete => "single-delete",
        BatchOperationKind.DeleteRange => "delete-range",
        BatchOperationKind.BlobIndex => "blob-index",
        BatchOperationKind.LogData => "log-data",
        _ => kind.ToString().ToLowerInvariant(),
    };

    /// <summary>The number, where the name is not in the log any more.</summary>
    static string FamilyOf(TailedBatch batch, uint family) =>
        batch.Families.GetValueOrDefault(family) ?? string.Create(CultureInfo.InvariantCulture, $"#{family}");

    protected override string Text(TailedBatch batch) => string.Create(CultureInfo.InvariantCulture,
        $"{batch.Lsn,12}  {TimeText.Show(batch.Time)}  sequence {batch.Batch.Sequence}  ")
        + string.Join(", ", batch.Batch.Operations.Select(o => Text(batch, o)));

    string Text(TailedBatch batch, BatchOperation operation)
    {
        var text = new StringBuilder(NameOf(operation.Kind));
        if (operation.Family is { } family) text.Append(' ').Append(Printable.Escape(FamilyOf(batch, family)));
        text.Append(' ').Append(Shown(operation.Key));
        if (operation is { Kind: BatchOperationKind.DeleteRange, Value: { } to }) text.Append(" to ").Append(Shown(to));
        else if (withValues && operation.Value is { } value) text.Append(" = ").Append(Shown(value));
        return text.ToString();
    }

    /// <summary>As the keys that <c>recovery export</c> takes, in quotes where they are text.</summary>
    static string Shown(byte[] bytes) => Utf8.IsValid(bytes)
        ? $"\"{Printable.Escape(Encoding.UTF8.GetString(bytes))}\""
        : "hex:" + Convert.ToHexStringLower(bytes);
}
