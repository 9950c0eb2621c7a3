using System.Buffers;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using RecoveryVfs.Changes.Lines;

namespace RecoveryVfs.Changes.Backups;

/// <summary>
/// JSON lines, and the SHA-256 of all of them, which the last one bears. Memory is bounded by the longest line.
/// </summary>
internal sealed class LinesWriter(Stream output) : IDisposable
{
    const int HandBytes = 256 << 10;

    readonly ArrayBufferWriter<byte> buffer = new(HandBytes * 2);
    readonly IncrementalHash sha = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    readonly Utf8JsonWriter json = new(Stream.Null, ValueJson.Options);

    /// <summary>Lines so far, the first, which is the header, included.</summary>
    public long Lines { get; private set; }

    /// <summary>Begins a line.</summary>
    public Utf8JsonWriter Begin()
    {
        json.Reset(buffer);
        return json;
    }

    /// <summary>A line that is one object.</summary>
    public void Write<T>(T line, JsonTypeInfo<T> how)
    {
        JsonSerializer.Serialize(Begin(), line, how);
        EndLine();
    }

    public void EndLine()
    {
        json.Flush();
        buffer.Write("\n"u8);
        Lines++;
        if (buffer.WrittenCount >= HandBytes) Hand();
    }

    void Hand()
    {
        sha.AppendData(buffer.WrittenSpan);
        output.Write(buffer.WrittenSpan);
        buffer.ResetWrittenCount();
    }

    /// <summary>The last line, which is made of how many lines came after the first, and of their hash.</summary>
    public T End<T>(Func<long, string, T> make, JsonTypeInfo<T> how)
    {
        Hand();
        var end = make(Lines - 1, Convert.ToHexStringLower(sha.GetHashAndReset()));
        JsonSerializer.Serialize(output, end, how);
        output.Write("\n"u8);
        output.Flush();
        return end;
    }

    public void Dispose()
    {
        json.Dispose();
        sha.Dispose();
    }
}
