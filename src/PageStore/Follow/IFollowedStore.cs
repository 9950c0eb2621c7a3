namespace RecoveryVfs.PageStore.Follow;

/// <summary>A store that somebody else writes, whose newest commits can be read here.</summary>
internal interface IFollowedStore
{
    /// <summary>Its directory here.</summary>
    string Directory { get; }

    /// <summary>One more reader; it stays readable until that is disposed.</summary>
    FollowerReader Read();
}

/// <summary>Knows of its readers.</summary>
internal interface IReadHost
{
    /// <summary>One reader less.</summary>
    void EndRead();
}
