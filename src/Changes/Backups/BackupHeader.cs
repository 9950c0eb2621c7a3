using System.Text.Json;
using System.Text.Json.Serialization;

namespace RecoveryVfs.Changes.Backups;

/// <summary>An entry of the schema in a backup.</summary>
internal sealed record BackupEntry(string Type, string Name, string Table, string? Sql)
{
    [JsonIgnore]
    public bool IsVirtual => Type == "table"
        && Sql?.StartsWith("CREATE VIRTUAL", StringComparison.OrdinalIgnoreCase) == true;
}

/// <summary>A table in a backup, with how many rows it has there.</summary>
internal sealed record BackupTable(string Name, long Rows);

/// <summary>What a backup goes on from: the one before, by its LSN and the hash that ends it.</summary>
internal sealed record BackupPredecessor(ulong Lsn, string? Sha256);

/// <summary>The first line of a backup.</summary>
internal sealed record BackupHeader
{
    /// <summary>What it is, so that nothing else is taken for it.</summary>
    public const string Name = "recovery-rows";

    /// <summary>The newest version this software knows.</summary>
    public const int KnownVersion = 1;

    public const string Full = "full", Incremental = "incremental";

    public string Format { get; init; } = Name;
    public int Version { get; init; } = KnownVersion;
    public required string Kind { get; init; }
    public required string Database { get; init; }
    public Guid Log { get; init; }
    public ulong Lsn { get; init; }
    public BackupPredecessor? Since { get; init; }
    public DateTimeOffset Time { get; init; }
    public string Encoding { get; init; } = "UTF-8";

    /// <summary>The tables that are left out, when only some were asked for.</summary>
    public string? OnlyTables { get; init; }

    /// <summary>All of the schema at the LSN, in its order.</summary>
    public IReadOnlyList<BackupEntry> Schema { get; init; } = [];

    /// <summary>The tables with rows in this file.</summary>
    public IReadOnlyList<BackupTable> Tables { get; init; } = [];

    [JsonIgnore] public bool IsFull => Kind == Full;

    /// <summary>How the first line of every backup begins.</summary>
    public static ReadOnlySpan<byte> Begins => "{\"format\":\"recovery-rows\""u8;

    /// <summary>Reads a first line. Throws TooNew, or Corrupt.</summary>
    public static BackupHeader Parse(ReadOnlySpan<byte> line, string file) => HeaderLine.Parse(line, file,
        BackupJson.Default.BackupHeader, KnownVersion, static header => header.Version, static header => header.Wrong);

    // The encoding becomes part of a statement; the rest of SQLite's names for them are not written.
    string? Wrong => Kind is not (Full or Incremental) || Kind == Full != Since is null ? "its kind"
        : Encoding is not ("UTF-8" or "UTF-16le" or "UTF-16be") ? "its encoding"
        : Database is null ? "its database"
        : Schema is null || Schema.Any(e => e?.Type is null || e.Name is null) ? "its schema"
        : null;
}

/// <summary>The last line of a backup.</summary>
internal sealed record BackupEnd(bool End, long Lines, IReadOnlyList<BackupTable> Tables, string Sha256);

/// <summary>Generated (de)serialization: works without reflection, so under NativeAOT too.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(BackupHeader))]
[JsonSerializable(typeof(BackupEnd))]
[JsonSerializable(typeof(LinesEnd))]
internal sealed partial class BackupJson : JsonSerializerContext
{
    /// <summary>For writing: nothing is escaped that need not be.</summary>
    public static BackupJson Plain { get; } = new(new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });
}
