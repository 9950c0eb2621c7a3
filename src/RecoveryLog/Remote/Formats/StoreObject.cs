using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using RecoveryVfs.RecoveryLog.Objects;

namespace RecoveryVfs.RecoveryLog.Remote.Formats;

/// <summary>
/// The object <c>store.json</c>, created once: which log lives under the prefix, where it begins, and who made it.
/// Whoever created it knows that the remote was new; for everybody else it never is.
/// </summary>
internal sealed record StoreObject
{
    /// <summary>
    /// The newest version this software knows. A branch is of version 2: whoever only knows version 1 would miss what
    /// lies in its parent. The remote of a RocksDB is of version 3.
    /// </summary>
    public const int Version = 3;

    /// <summary>What <see cref="Holds"/> says of the remote of somebody's RocksDB.</summary>
    public const string RocksDb = "rocksdb";

    const int MaxBytes = 64 << 10;

    /// <summary>The version of the whole layout.</summary>
    [JsonPropertyName("format")] public required int Format { get; init; }

    /// <summary>The log's identity.</summary>
    [JsonPropertyName("log")] public required Guid LogId { get; init; }

    /// <summary>The LSN at which the remote's log begins, 16 hex digits: the name of its first segment.</summary>
    [JsonPropertyName("first")] public required string First { get; init; }

    /// <summary>The writer that created it, 16 hex digits.</summary>
    [JsonPropertyName("author")] public required string Author { get; init; }

    /// <summary>When it was created; for people.</summary>
    [JsonPropertyName("created")] public required DateTimeOffset Created { get; init; }

    /// <summary>What it was branched from; null for a remote of its own.</summary>
    [JsonPropertyName("branch"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public BranchOrigin? Branch { get; init; }

    /// <summary>What the log is of: null, a store of databases; <c>rocksdb</c>, a RocksDB's directory.</summary>
    [JsonPropertyName("holds"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Holds { get; init; }

    /// <summary>Throws when the log is not of a store of databases.</summary>
    public void ThrowUnlessDatabases(string location)
    {
        if (Holds is null) return;
        throw new RecoveryException(RecoveryError.Invalid,
            $"{location} holds the files of a RocksDB, not SQLite databases.",
            $"`recovery restore` brings them back as a directory, `recovery export` writes its pairs.")
        { Path = location };
    }

    /// <summary>The LSN at which the remote's log begins.</summary>
    [JsonIgnore] public ulong FirstLsn => ParseHex(First);

    /// <summary>The writer that created it.</summary>
    [JsonIgnore] public ulong AuthorId => ParseHex(Author);

    /// <summary>Makes one.</summary>
    public static StoreObject Make(Guid logId, ulong firstLsn, ulong author, DateTimeOffset created,
        string? holds = null) => new()
        {
            Format = holds is null ? 1 : Version,
            Holds = holds,
            LogId = logId,
            First = firstLsn.ToString("x16"),
            Author = author.ToString("x16"),
            Created = created,
        };

    /// <summary>The bytes of the object.</summary>
    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, StoreObjectJson.Default.StoreObject);

    /// <summary>Reads the object's bytes. Throws Corrupt or TooNew.</summary>
    public static StoreObject Parse(byte[] bytes)
    {
        StoreObject? read;
        try
        {
            read = bytes.Length <= MaxBytes
            ? JsonSerializer.Deserialize(bytes, StoreObjectJson.Default.StoreObject)
            : null;
        }
        catch (JsonException e)
        {
            throw RemoteFormat.Damaged(RemoteNames.Store, "it is not the JSON that it should be", e);
        }
        if (read is null || read.Format < 1 || !IsHex(read.First) || !IsHex(read.Author) || read.FirstLsn == 0
            || read.Holds is not (null or RocksDb))
            throw RemoteFormat.Damaged(RemoteNames.Store, "its fields make no sense");
        return read.Format > Version ? throw RemoteFormat.TooNew(RemoteNames.Store, (uint)read.Format, Version) : read;
    }

    /// <summary>Fetches it; null when there is none: nobody has made a remote here yet.</summary>
    public static async ValueTask<StoreObject?> FetchAsync(IObjectStore store,
        CancellationToken cancellation = default) =>
        await store.ReadWholeAsync(RemoteNames.Store, MaxBytes, cancellation) is { } bytes ? Parse(bytes) : null;

    static bool IsHex(string? text) => text is { Length: 16 }
        && ulong.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out _);

    static ulong ParseHex(string text)
        => ulong.Parse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
}

/// <summary>What a branch was made from.</summary>
/// <param name="Parent">The parent's URL.</param>
/// <param name="LogId">The parent's log.</param>
/// <param name="Lsn">The state, as an LSN of the parent's.</param>
/// <param name="Pin">The pin in the parent that keeps what the branch names there; null where all was copied.</param>
/// <param name="Expires">Until when the parent keeps it; null for good.</param>
internal sealed record BranchOrigin(
    [property: JsonPropertyName("parent")] string Parent,
    [property: JsonPropertyName("log")] Guid LogId,
    [property: JsonPropertyName("lsn")] ulong Lsn,
    [property: JsonPropertyName("pin")] string? Pin,
    [property: JsonPropertyName("expires")] DateTimeOffset? Expires);

/// <summary>Generated (de)serialization: works without reflection, so under NativeAOT too.</summary>
[JsonSourceGenerationOptions(WriteIndented = true)]
[JsonSerializable(typeof(StoreObject))]
sealed partial class StoreObjectJson : JsonSerializerContext;
