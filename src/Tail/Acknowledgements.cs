using System.Globalization;
using System.Text;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Tail;

/// <summary>The id of a line: its commit, and its number in it.</summary>
readonly record struct LineId(ulong Lsn, long Number) : IComparable<LineId>
{
    public int CompareTo(LineId other)
        => Lsn != other.Lsn ? Lsn.CompareTo(other.Lsn) : Number.CompareTo(other.Number);

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Lsn} {Number}");
}

/// <summary>
/// What a consumer says on our standard input: a line for how far it has come, <c>LSN N</c> for a line that it has
/// dealt with, and all before it, or <c>LSN</c> for all that it was given of that commit. Read by a thread of its own.
/// </summary>
sealed class Acknowledgements(Stream input)
{
    const int MostCharacters = 64;

    readonly Lock gate = new();
    readonly TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    LineId sent, latest;

    /// <summary>Ends when the consumer has closed its side, or fails when it has said something senseless.</summary>
    public Task Ended => ended.Task;

    /// <summary>All lines up to this one are dealt with.</summary>
    public LineId Latest
    {
        get
        {
            lock (gate) return latest;
        }
    }

    /// <summary>Lines up to this one are about to be with the consumer.</summary>
    public void Sending(LineId last)
    {
        lock (gate) sent = last;
    }

    /// <summary>Begins to read.</summary>
    public void Start() => new Thread(Read) { IsBackground = true, Name = "recovery-acks" }.Start();

    void Read()
    {
        try
        {
            using var lines = new StreamReader(input, Encoding.UTF8);
            while (lines.ReadLine() is { } line)
                if (line.Length > 0) Take(line);
            ended.TrySetResult();
        }
        catch (RecoveryException e)
        {
            ended.TrySetException(e);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            ended.TrySetResult();
        }
    }

    void Take(string line)
    {
        var said = Parse(line);
        lock (gate)
        {
            // Of a commit that is still being sent, what came is dealt with, and no more.
            if (said.Number == long.MaxValue && said.Lsn == sent.Lsn) said = sent;
            if (said.CompareTo(sent) > 0 && !(said.Number == long.MaxValue && said.Lsn < sent.Lsn))
                throw new RecoveryException(RecoveryError.Invalid,
                    $"The consumer acknowledged {line.Trim()}, and the last line that it was sent is {sent}. The "
                        + "cursor stays where it was; mend the consumer.");
            if (said.CompareTo(latest) > 0) latest = said;
        }
    }

    static LineId Parse(string line)
    {
        Span<Range> parts = stackalloc Range[3];
        var text = line.AsSpan();
        var count = text.Length > MostCharacters ? 0
            : text.SplitAny(parts, " \t", StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        var culture = CultureInfo.InvariantCulture;
        if (count is 1 or 2 && ulong.TryParse(text[parts[0]], NumberStyles.None, culture, out var lsn))
        {
            if (count == 1) return new LineId(lsn, long.MaxValue);
            if (long.TryParse(text[parts[1]], NumberStyles.None, culture, out var n)) return new LineId(lsn, n);
        }
        throw new RecoveryException(RecoveryError.Invalid,
            $"'{line[..Math.Min(line.Length, MostCharacters)]}' is no acknowledgement. A consumer writes the lsn of a "
                + "line that it has dealt with, a space, and its n. The cursor stays where it was.");
    }
}
