namespace RecoveryVfs.Bench;

/// <summary>What the command line chose.</summary>
internal sealed record Settings(bool Quick, string Directory, int? Rounds, string? Side)
{
    /// <summary>An empty directory for a case.</summary>
    public Place NewPlace(string name) => new(this, Path.Combine(Path.GetFullPath(Directory), name));
}

/// <summary>A case's directory, with one for each side in it; deleted at the end.</summary>
internal sealed class Place : IDisposable
{
    readonly string directory;

    public Place(Settings settings, string directory)
    {
        Settings = settings;
        this.directory = directory;
        Clear();
        Ours = new Side(true, Path.Combine(directory, "ours"));
        Stock = new Side(false, Path.Combine(directory, "stock"));
    }

    public Settings Settings { get; }

    public bool Quick => Settings.Quick;

    public Side Ours { get; }

    public Side Stock { get; }

    /// <summary>A number that is smaller with --quick.</summary>
    public int Pick(int full, int quick) => Quick ? quick : full;

    public int Rounds(int full, int quick) => Settings.Rounds ?? Pick(full, quick);

    void Clear()
    {
        if (Directory.Exists(directory)) Directory.Delete(directory, recursive: true);
    }

    public void Dispose()
    {
        Recovery.CloseIdleStores();
        Clear();
    }
}
