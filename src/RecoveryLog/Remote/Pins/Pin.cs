using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.RecoveryLog.Remote.Pins;

/// <summary>
/// The object <c>pins/&lt;name&gt;</c>: a state that collection must keep restorable, beyond retention. A clone, a
/// follower or a named snapshot puts one.
/// </summary>
internal sealed record Pin
{
    /// <summary>The newest version this software knows.</summary>
    public const int Version = 1;

    const int MaxBytes = 64 << 10;

    /// <summary>The format's version.</summary>
    [JsonPropertyName("format")] public int Format { get; init; } = Version;

    /// <summary>The LSN whose state is kept, 16 hex digits.</summary>
    [JsonPropertyName("lsn")] public required string LsnHex { get; init; }

    /// <summary>Whether every state after it is kept too, as a follower needs it.</summary>
    [JsonPropertyName("onward")] public bool Onward { get; init; }

    /// <summary>Until when; null for good.</summary>
    [JsonPropertyName("expires")] public DateTimeOffset? Expires { get; init; }

    /// <summary>The remote for which it is kept, a branch of this one; null for other pins.</summary>
    [JsonPropertyName("owner")] public string? Owner { get; init; }

    /// <summary>What it is for; for people.</summary>
    [JsonPropertyName("note")] public string? Note { get; init; }

    /// <summary>The LSN whose state is kept.</summary>
    [JsonIgnore] public ulong Lsn => ulong.Parse(LsnHex, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    /// <summary>Makes one.</summary>
    public static Pin At(ulong lsn, bool onward = false, DateTimeOffset? expires = null, string? note = null) =>
        new() { LsnHex = lsn.ToString("x16"), Onward = onward, Expires = expires, Note = note };

    /// <summary>The bytes of the object.</summary>
    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, PinJson.Default.Pin);

    /// <summary>Reads the object's bytes. Throws Corrupt or TooNew.</summary>
    public static Pin Parse(byte[] bytes, string name)
    {
        Pin? read;
        try { read = bytes.Length <= MaxBytes ? JsonSerializer.Deserialize(bytes, PinJson.Default.Pin) : null; }
        catch (JsonException e) { throw RemoteFormat.Damaged(name, "it is not the JSON that a pin is", e); }
        if (read is null || read.Format < 1 || read.LsnHex is not { Length: 16 }
            || !ulong.TryParse(read.LsnHex, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out _))
            throw RemoteFormat.Damaged(name, "its fields make no sense");
        return read.Format > Version ? throw RemoteFormat.TooNew(name, (uint)read.Format, Version) : read;
    }

    /// <summary>Puts a pin. Throws Busy when there is one of that name that says something else.</summary>
    public static async ValueTask PutAsync(RemoteContext context, string name, Pin pin,
        CancellationToken cancellation = default)
    {
        string objectName = RemoteNames.Pin(name);
        byte[] bytes = pin.ToBytes();
        if (await context.RetryAsync(token => context.Store.CreateAsync(objectName, bytes, token), cancellation)
            == CreateResult.Created)
            return;
        byte[]? found =
            await context.RetryAsync(token => context.Store.ReadWholeAsync(objectName, MaxBytes, token), cancellation);
        if (found is null || !found.AsSpan().SequenceEqual(bytes))
            throw new RecoveryException(RecoveryError.Busy,
                $"There is a pin '{name}' in {context.Store.Location} already.",
                "Choose another name, or remove that one first")
            { Path = context.Store.Location };
    }

    /// <summary>All pins, by name. One that does not verify is an error: what it keeps is not known.</summary>
    public static async ValueTask<IReadOnlyDictionary<string,
        Pin>> ListAsync(RemoteContext context, CancellationToken cancellation = default)
    {
        var pins = new Dictionary<string, Pin>(StringComparer.Ordinal);
        foreach (var entry in await context.ListAsync(RemoteNames.Pins, null, cancellation))
        {
            byte[]? bytes =
                await context.RetryAsync(token => context.Store.ReadWholeAsync(entry.Name, MaxBytes, token),
                cancellation);
            if (bytes is not null) pins[entry.Name[RemoteNames.Pins.Length..]] = Parse(bytes, entry.Name);
        }
        return pins;
    }

    /// <summary>One pin; null when there is none of that name.</summary>
    public static async ValueTask<Pin?> TryFetchAsync(RemoteContext context, string name,
        CancellationToken cancellation = default)
    {
        var objectName = RemoteNames.Pin(name);
        var bytes = await context.RetryAsync(token => context.Store.ReadWholeAsync(objectName, MaxBytes, token),
            cancellation);
        return bytes is null ? null : Parse(bytes, objectName);
    }

    /// <summary>
    /// Puts a pin in the place of an earlier one, under a new name: objects are never overwritten. The name is
    /// remembered before the earlier one goes, or a crash would leave one that nobody knows.
    /// </summary>
    public static async ValueTask<string> ReplaceAsync(RemoteContext context, string prefix, Pin pin, string? earlier,
        Action<string> remember, CancellationToken cancellation = default)
    {
        var name = prefix + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8));
        await PutAsync(context, name, pin, cancellation);
        remember(name);
        if (earlier is not null) await RemoveAsync(context, earlier, cancellation);
        return name;
    }

    /// <summary>Removes a pin; does nothing when there is none.</summary>
    public static async ValueTask RemoveAsync(RemoteContext context, string name,
        CancellationToken cancellation = default) =>
        await context.RetryAsync(async token =>
        {
            await context.Store.DeleteAsync([RemoteNames.Pin(name)], token);
            return true;
        }, cancellation);
}

/// <summary>Generated (de)serialization: works without reflection, so under NativeAOT too.</summary>
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(Pin))]
sealed partial class PinJson : JsonSerializerContext;
