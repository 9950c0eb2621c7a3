using System.Text.Json;
using System.Text.Json.Serialization;
using RecoveryVfs.Changes.Backups;

namespace RecoveryVfs.Changes.Pairs;

/// <summary>The first line of exported pairs.</summary>
internal sealed record PairsHeader
{
    /// <summary>What it is, so that nothing else is taken for it.</summary>
    public const string Name = "recovery-pairs";

    /// <summary>The newest version this software knows.</summary>
    public const int KnownVersion = 1;

    public const string Full = "full", Part = "part";

    public string Format { get; init; } = Name;
    public int Version { get; init; } = KnownVersion;

    /// <summary>All pairs of the RocksDB, or some.</summary>
    public required string Kind { get; init; }

    /// <summary>The log of a recorded RocksDB; null of one that is not recorded.</summary>
    public Guid? Log { get; init; }

    /// <summary>
    /// Of a remote, the state; of a directory, the newest record that its log had when its pairs began to be read.
    /// </summary>
    public ulong? Lsn { get; init; }

    /// <summary>RocksDB's own number of the newest write that is in it.</summary>
    public ulong Sequence { get; init; }

    /// <summary>When it was exported.</summary>
    public DateTimeOffset Time { get; init; }

    /// <summary>The column families in it.</summary>
    public IReadOnlyList<string> Families { get; init; } = [];

    /// <summary>Which keys were asked for: from one on, up to but without another, of some hash slots.</summary>
    public string? From { get; init; }
    public string? To { get; init; }
    public string? Slots { get; init; }

    /// <summary>How the first line of every export begins.</summary>
    public static ReadOnlySpan<byte> Begins => "{\"format\":\"recovery-pairs\""u8;

    /// <summary>The most families of one file: each takes memory and time of a RocksDB, whatever is in it.</summary>
    public const int MaxFamilies = 4096;

    /// <summary>Reads a first line. Throws TooNew, or Corrupt.</summary>
    public static PairsHeader Parse(ReadOnlySpan<byte> line, string file) => HeaderLine.Parse(line, file,
        PairsJson.Default.PairsHeader, KnownVersion, static header => header.Version, static header => header.Wrong);

    string? Wrong => Kind is not (Full or Part) ? "its kind"
        : Families is null || Families.Any(f => f is null) ? "its families"
        : Families.Count > MaxFamilies ? $"it names {Families.Count} families, more than {MaxFamilies}"
        : null;
}

/// <summary>How many pairs of a family there are.</summary>
internal sealed record PairsOfFamily(string Name, long Pairs);

/// <summary>The last line of exported pairs.</summary>
internal sealed record PairsEnd(bool End, long Lines, IReadOnlyList<PairsOfFamily> Families, string Sha256);

/// <summary>Generated (de)serialization: works without reflection, so under NativeAOT too.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(PairsHeader))]
[JsonSerializable(typeof(PairsEnd))]
internal sealed partial class PairsJson : JsonSerializerContext
{
    /// <summary>For writing: nothing is escaped that need not be.</summary>
    public static PairsJson Plain { get; } = new(new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });
}
