using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace RecoveryVfs.Tail;

/// <summary>Writes what happened as lines, for people or for programs (JSON), and hands each on at once.</summary>
abstract class Lines<T>(Stream output, bool json)
{
    readonly ArrayBufferWriter<byte> line = new();

    /// <summary>Writes a line, unless nobody has asked for it.</summary>
    public void Write(T happened)
    {
        if (!IsWanted(happened)) return;
        line.ResetWrittenCount();
        if (json) WriteJson(happened);
        else Encoding.UTF8.GetBytes(Text(happened), line);
        line.Write("\n"u8);
        output.Write(line.WrittenSpan);
        output.Flush();
    }

    void WriteJson(T happened)
    {
        using var writer = new Utf8JsonWriter(line);
        writer.WriteStartObject();
        WriteFields(writer, happened);
        writer.WriteEndObject();
    }

    /// <summary>Whether it gets a line.</summary>
    protected virtual bool IsWanted(T happened) => true;

    /// <summary>The fields of its JSON object.</summary>
    protected abstract void WriteFields(Utf8JsonWriter writer, T happened);

    /// <summary>Its line for people.</summary>
    protected abstract string Text(T happened);

    protected static void WriteTime(Utf8JsonWriter writer, DateTimeOffset time) => writer.WriteString("time",
        time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture));
}
