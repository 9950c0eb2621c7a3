using RecoveryVfs.Operations;

namespace RecoveryVfs.Cli.Backups;

/// <summary>
/// Where lines are written: standard output, as <c>-</c>, or a file, which appears whole or not at all.
/// </summary>
internal sealed record LinesTarget(string Named, bool Overwrite)
{
    /// <summary>
    /// Hands out the stream, and a directory for what is needed meanwhile; returns what was written, and the file.
    /// </summary>
    public async Task<(T End, string? File)> WriteAsync<T>(Output to, Func<Stream, string, Task<T>> write)
    {
        if (Named == "-")
        {
            using var standard = to.OpenRawBytes();
            return (await write(standard, Path.GetTempPath()), null);
        }
        var file = Path.GetFullPath(Named);
        DeliveredFile.CheckPlace(file, Overwrite);
        var beside = Path.GetDirectoryName(file)!;
        using var staging = new Staging(beside, Path.GetFileName(file));
        T end;
        using (var target =
            new FileStream(staging.Path("lines"), FileMode.CreateNew, FileAccess.Write, FileShare.None, 1 << 20))
        {
            end = await write(target, beside);
            target.Flush(flushToDisk: true);
        }
        staging.MoveOut("lines", file);
        return (end, file);
    }
}
