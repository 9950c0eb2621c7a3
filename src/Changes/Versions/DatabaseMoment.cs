using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.Rows;

namespace RecoveryVfs.Changes.Versions;

/// <summary>A database as one moment shows it. Where it was not there at that moment, it has no tables.</summary>
internal sealed class DatabaseMoment : IDisposable
{
    readonly FollowedVersion? version;

    internal DatabaseMoment(ulong lsn, DateTimeOffset time, FollowedVersion? version)
    {
        (Lsn, Time, this.version) = (lsn, time, version);
        try
        {
            Pages = new VersionPages(version);
            Rows = new RowReader(Pages);
        }
        catch
        {
            version?.Dispose();
            throw;
        }
    }

    /// <summary>The last record of the log that it shows.</summary>
    public ulong Lsn { get; }

    /// <summary>When that was written, by the writer's clock.</summary>
    public DateTimeOffset Time { get; }

    /// <summary>Whether the database was there.</summary>
    public bool Exists => version is not null;

    /// <summary>Its pages.</summary>
    internal VersionPages Pages { get; }

    /// <summary>Its rows.</summary>
    public RowReader Rows { get; }

    internal uint DatabaseId => version?.DatabaseId ?? 0;

    /// <summary>Lets the version go.</summary>
    public void Dispose() => version?.Dispose();
}
