namespace RecoveryVfs.Opening;

/// <summary>How the journal and the WAL of a database are called.</summary>
internal static class Companions
{
    public const string JournalSuffix = "-journal", WalSuffix = "-wal";

    public static ReadOnlySpan<byte> JournalSuffixBytes => "-journal"u8;

    public static ReadOnlySpan<byte> WalSuffixBytes => "-wal"u8;

    /// <summary>The open database whose path is this one without a suffix, or null.</summary>
    public static OpenDatabase? DatabaseOf(ReadOnlySpan<byte> path, ReadOnlySpan<byte> suffix) =>
        path.EndsWith(suffix) ? OpenDatabases.Find(path[..^suffix.Length]) : null;
}
