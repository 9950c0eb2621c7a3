using System.Text.Json;
using System.Text.Json.Serialization;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.RecoveryLog.Remote.State;

/// <summary>
/// What is known of whether a remote can be restored: when that was proved last, and what the newest try found. Kept in
/// a file of the store's directory, so that its age outlives the process.
/// </summary>
internal sealed record RemoteVerification
{
    const string FileName = "verified";

    const int MaxBytes = 64 << 10;

    /// <summary>The remote.</summary>
    public required string Remote { get; init; }

    /// <summary>When the newest try ended.</summary>
    public required DateTimeOffset At { get; init; }

    /// <summary>When a state was last proved restorable; null when none was.</summary>
    public DateTimeOffset? ProvedAt { get; init; }

    /// <summary>The LSN of that state.</summary>
    public ulong ProvedLsn { get; init; }

    /// <summary>What the newest try found, or what kept it from being made; null when all was well.</summary>
    public string? Problem { get; init; }

    /// <summary>Whether the problem is damage, and not that the try could not be made.</summary>
    public bool IsDamage { get; init; }

    /// <summary>In words, for status reports.</summary>
    [JsonIgnore] public string Result => Problem is null ? "ok" : IsDamage ? "damaged" : "not done";

    /// <summary>Reads the file of a store's directory; null when there is none (that can be read).</summary>
    public static RemoteVerification? Load(string directory)
    {
        try
        {
            using var file = RegularFile.OpenRead(Path.Combine(directory, FileName));
            return file.Length > MaxBytes ? null
                : JsonSerializer.Deserialize(file, RemoteVerificationJson.Default.RemoteVerification);
        }
        // It says nothing about the store itself; the next verification writes it anew.
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException) { return null; }
    }

    /// <summary>Writes the file, for whoever looks at the directory. A disk that is full keeps the older one.</summary>
    public void Save(string directory)
    {
        string path = Path.Combine(directory, FileName);
        try
        {
            File.WriteAllBytes(path + ".new",
                JsonSerializer.SerializeToUtf8Bytes(this, RemoteVerificationJson.Default.RemoteVerification));
            File.Move(path + ".new", path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { }
    }
}

/// <summary>Generated (de)serialization: works without reflection, so under NativeAOT too.</summary>
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(RemoteVerification))]
sealed partial class RemoteVerificationJson : JsonSerializerContext;
