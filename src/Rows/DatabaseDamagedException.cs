namespace RecoveryVfs.Rows;

/// <summary>A page holds what a SQLite database cannot hold. Nothing of it is returned as data.</summary>
public sealed class DatabaseDamagedException : IOException
{
    /// <summary>An error in page <paramref name="page"/>.</summary>
    public DatabaseDamagedException(uint page, string what)
        : base($"Page {page} of the database is damaged: {what}. Read an older version, or restore the database from "
            + "its recovery log.") =>
            Page = page;

    /// <summary>The page that holds what is wrong; the first is 1.</summary>
    public uint Page { get; }
}
