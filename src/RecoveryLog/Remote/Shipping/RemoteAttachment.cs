using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace RecoveryVfs.RecoveryLog.Remote;

/// <summary>
/// What a store's directory remembers of its remote, in a small file: who it is as a writer, and to which remotes it has shipped. The first makes it
/// recognise its own segments after a crash; the second keeps it from taking an emptied remote for a new one.
/// </summary>
public sealed record RemoteAttachment
{
    /// <summary>The newest version this software knows.</summary>
    public const int Version = 1;

    const int MaxBytes = 1 << 20;

    /// <summary>The format's version.</summary>
    [JsonPropertyName("format")] public int Format { get; init; } = Version;

    /// <summary>The writer's identity, 16 hex digits.</summary>
    [JsonPropertyName("author")] public required string AuthorHex { get; init; }

    /// <summary>Locations of remotes that were connected to.</summary>
    [JsonPropertyName("remotes")] public IReadOnlyList<string> Remotes { get; init; } = [];

    /// <summary>The writer's identity.</summary>
    [JsonIgnore] public ulong Author => ulong.Parse(AuthorHex, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    /// <summary>Whether the remote at a location may be created if it is not there.</summary>
    public bool MayCreate(string location) => !Remotes.Contains(location);

    /// <summary>Reads the file, or makes it, durably, with a new identity.</summary>
    public static RemoteAttachment LoadOrCreate(ILogDisk disk, string path, Random random, ulong? author = null)
    {
        if (disk.Exists(path)) return Load(disk, path);
        var made = new RemoteAttachment { AuthorHex = (author ?? (ulong)random.NextInt64(1, long.MaxValue)).ToString("x16") };
        made.Save(disk, path);
        return made;
    }

    /// <summary>The same, with one more remote that was connected to; durable when it returns.</summary>
    public RemoteAttachment With(ILogDisk disk, string path, string location)
    {
        if (Remotes.Contains(location)) return this;
        var more = this with { Remotes = [.. Remotes, location] };
        more.Save(disk, path);
        return more;
    }

    static RemoteAttachment Load(ILogDisk disk, string path)
    {
        using var file = disk.Open(path, LogFileMode.Read);
        byte[] bytes = new byte[Math.Min(file.SizeBytes, MaxBytes)];
        int got = file.Read(0, bytes);
        RemoteAttachment? read;
        try { read = JsonSerializer.Deserialize(bytes.AsSpan(0, got), RemoteAttachmentJson.Default.RemoteAttachment); }
        catch (JsonException e) { throw Damaged(path, e); }
        if (read is null || read.Format < 1 || read.Remotes is null || read.AuthorHex is not { Length: 16 }
            || !ulong.TryParse(read.AuthorHex, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong author) || author == 0)
            throw Damaged(path, null);
        return read.Format > Version
            ? throw new RecoveryException(RecoveryError.TooNew, $"{path} has format {read.Format}; this software knows formats up to {Version}. Use a newer release")
            : read;
    }

    void Save(ILogDisk disk, string path)
    {
        using (var file = disk.Open(path + ".new", LogFileMode.Create))
        {
            file.Write(0, JsonSerializer.SerializeToUtf8Bytes(this, RemoteAttachmentJson.Default.RemoteAttachment));
            file.SyncData();
        }
        disk.Rename(path + ".new", path);
        disk.SyncDirectory(System.IO.Path.GetDirectoryName(path)!);
    }

    static RecoveryException Damaged(string path, Exception? cause) => new(RecoveryError.Corrupt,
        $"{path}, which says who this store is to its remote, is damaged. Restore the store from its remote into an empty directory", cause);
}

/// <summary>Generated (de)serialization: works without reflection, so under NativeAOT too.</summary>
[JsonSerializable(typeof(RemoteAttachment))]
sealed partial class RemoteAttachmentJson : JsonSerializerContext;
