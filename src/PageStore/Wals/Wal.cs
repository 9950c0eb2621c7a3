namespace RecoveryVfs.PageStore.Wals;

/// <summary>
/// What is known here of SQLite's write-ahead logs: how they are called, and where things stand in them.
/// </summary>
internal static class Wal
{
    public const string Suffix = "-wal";

    /// <summary>A file: a header, then frames; a frame: a header, then a page.</summary>
    public const int HeaderBytes = 32, FrameHeaderBytes = 24;

    public static bool IsPageSize(int length) => length is >= 512 and <= 65536 && (length & (length - 1)) == 0;

    public static bool IsName(string name) => name.EndsWith(Suffix, StringComparison.Ordinal);

    /// <summary>The database of a WAL.</summary>
    public static string DatabaseOf(string name) => name[..^Suffix.Length];
}
