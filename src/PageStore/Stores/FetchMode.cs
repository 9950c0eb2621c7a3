namespace RecoveryVfs.PageStore.Stores;

/// <summary>When the bytes of a remote come here.</summary>
public enum FetchMode
{
    /// <summary>All of them, before anything is read.</summary>
    All,
    /// <summary>Those that are read, when they are read, and the rest meanwhile.</summary>
    Background,
    /// <summary>Those that are read, when they are read.</summary>
    Lazy,
}
