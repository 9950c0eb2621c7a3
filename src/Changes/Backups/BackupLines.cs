using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Changes.Backups;

/// <summary>A backup's lines. Each is true until the next is read.</summary>
internal sealed class BackupLines(string file, Stream input) : IDisposable
{
    byte[] buffer = new byte[1 << 20];
    int start, end, lastLength;

    public RecoveryException Damaged(string why)
        => new(RecoveryError.Corrupt, $"{file} is damaged: {why}.", "Nothing of it was taken; use another copy.")
        { Path = file };

    /// <summary>The next line; false at the end.</summary>
    public bool TryRead(out ReadOnlySpan<byte> line)
    {
        for (var searched = 0; ;)
        {
            var at = buffer.AsSpan(start + searched, end - start - searched).IndexOf((byte)'\n');
            if (at >= 0)
            {
                line = buffer.AsSpan(start, searched + at);
                start += lastLength = searched + at + 1;
                return true;
            }
            searched = end - start;
            if (Fill()) continue;
            line = default;
            return searched != 0 ? throw Damaged("its last line has no end") : false;
        }
    }

    /// <summary>The line that was read last, and its end.</summary>
    public ReadOnlySpan<byte> LastWithEnd => buffer.AsSpan(start - lastLength, lastLength);

    bool Fill()
    {
        if (start > 0)
        {
            buffer.AsSpan(start, end - start).CopyTo(buffer);
            (start, end) = (0, end - start);
        }
        // Grows with bytes that are there.
        if (end == Array.MaxLength) throw Damaged($"it has a line of more than {end} bytes, which nothing writes");
        if (end == buffer.Length) Array.Resize(ref buffer, (int)Math.Min(buffer.Length * 2L, Array.MaxLength));
        var got = input.Read(buffer, end, buffer.Length - end);
        end += got;
        return got > 0;
    }

    public void Dispose() => input.Dispose();
}
