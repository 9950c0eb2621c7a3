using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Changes.Backups;

/// <summary>The first line of a file of lines: what it is, and in which version.</summary>
internal static class HeaderLine
{
    /// <summary>Reads one. Throws TooNew, or Corrupt when something is <paramref name="wrong"/> with it.</summary>
    public static T Parse<T>(ReadOnlySpan<byte> line, string file, JsonTypeInfo<T> how, int knownVersion,
        Func<T, int> version, Func<T, string?> wrong)
        where T : class
    {
        try
        {
            var header = JsonSerializer.Deserialize(line, how)!;
            if (version(header) > knownVersion)
                throw new RecoveryException(RecoveryError.TooNew,
                    $"{file} is of version {version(header)}, and this software knows {knownVersion}.",
                    "Use a newer one.")
                { Path = file };
            return wrong(header) is { } what ? throw new JsonException(what) : header;
        }
        catch (JsonException e)
        {
            throw new RecoveryException(RecoveryError.Corrupt,
                $"{file} is damaged: its first line makes no sense ({e.Message}).", "Use another copy.", e)
            { Path = file };
        }
    }
}
