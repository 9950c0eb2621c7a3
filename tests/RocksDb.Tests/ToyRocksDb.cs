using System.Text;
using RecoveryVfs.PageStore.Directories;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.Testing;

/// <summary>
/// Does to the files of a recorded directory what a RocksDB does, one at a time, tells the recorder, and knows what
/// each file has: a model of the directory by LSN.
/// </summary>
internal sealed class ToyRocksDb : IAsyncDisposable
{
    readonly Dictionary<string, byte[]> files = new(StringComparer.Ordinal);
    readonly HashSet<string> unsealed = new(StringComparer.Ordinal);
    readonly Random random;
    readonly string path;
    int nextNumber;

    public ToyRocksDb(string path, RemoteOptions remote, Random random)
    {
        (this.path, this.random) = (path, random);
        System.IO.Directory.CreateDirectory(path);
        foreach (var file in System.IO.Directory.EnumerateFiles(path))
            if (TrackedName.RocksClassOf(Path.GetFileName(file)) is not null)
                files[Path.GetFileName(file)] = File.ReadAllBytes(file);
        nextNumber = 1 + files.Keys.Select(n => int.Parse("0" + new string([.. n.Where(char.IsAsciiDigit)]),
            System.Globalization.CultureInfo.InvariantCulture)).DefaultIfEmpty().Max();
        Directory = RecordedDirectory.Open(path, new StoreOptions
        {
            Directory = StoreHome.Within(path),
            Remote = remote,
        });
    }

    public RecordedDirectory Directory { get; }

    /// <summary>What each file has; a table only when it is sealed.</summary>
    public SortedDictionary<string, byte[]> Files => new(files.Where(f => !unsealed.Contains(f.Key))
        .ToDictionary(StringComparer.Ordinal), StringComparer.Ordinal);

    /// <summary>The tracked files that a directory has.</summary>
    public static SortedDictionary<string, byte[]> FilesOf(string directory) => new(
        System.IO.Directory.EnumerateFiles(directory)
            .Where(f => TrackedName.RocksClassOf(Path.GetFileName(f)) is not null)
            .ToDictionary(f => Path.GetFileName(f), File.ReadAllBytes, StringComparer.Ordinal), StringComparer.Ordinal);

    /// <summary>Does something, and returns the LSN after it.</summary>
    public ulong Step()
    {
        var turn = random.Next(10);
        if (!files.ContainsKey("CURRENT") || turn == 0) SwitchManifest();
        else if (turn == 1) Create(Named(".log"));
        else if (turn == 2) Create(Named(random.Next(4) == 0 ? ".blob" : ".sst"));
        else if (turn <= 4 && Any(n => unsealed.Contains(n)) is { } table)
        {
            Append(table);
            if (random.Next(2) == 0) Seal(table);
        }
        else if (turn == 5 && Any(n => n.EndsWith(".log", StringComparison.Ordinal)) is { } log) Delete(log);
        else if (turn == 6 && Any(n => n.EndsWith(".sst", StringComparison.Ordinal)) is { } dead) Delete(dead);
        else if (turn == 7 && Any(n => n.StartsWith("MANIFEST", StringComparison.Ordinal)) is { } manifest)
            Append(manifest);
        else if (Any(n => n.EndsWith(".log", StringComparison.Ordinal)) is { } wal) Append(wal);
        else Create(Named(".log"));
        return Directory.WriteOut();
    }

    string Named(string suffix) => $"{nextNumber++:d6}{suffix}";

    string? Any(Func<string, bool> isMeant) =>
        files.Keys.Where(isMeant).Order(StringComparer.Ordinal).ToList() is { Count: > 0 } names
            ? names[random.Next(names.Count)]
            : null;

    public void Create(string name)
    {
        File.WriteAllBytes(At(name), []);
        files[name] = [];
        if (IsTable(name)) unsealed.Add(name);
        Directory.Recorder.Created(name);
    }

    static bool IsTable(string name) => name.EndsWith(".sst", StringComparison.Ordinal)
        || name.EndsWith(".blob", StringComparison.Ordinal);

    void Append(string name)
    {
        var bytes = new byte[random.Next(1, 2000)];
        random.NextBytes(bytes);
        Append(name, bytes);
    }

    public void Append(string name, byte[] bytes)
    {
        using (var file = new FileStream(At(name), FileMode.Append)) file.Write(bytes);
        files[name] = [.. files[name], .. bytes];
        if (!IsTable(name)) Directory.Recorder.Appended(name, bytes, files[name].Length, 0);
    }

    public void Seal(string name)
    {
        unsealed.Remove(name);
        Directory.Recorder.Sealed(name, files[name].Length, Crc32C.Compute(files[name]));
    }

    void Delete(string name)
    {
        File.Delete(At(name));
        files.Remove(name);
        unsealed.Remove(name);
        Directory.Recorder.Deleted(name);
    }

    /// <summary>A new MANIFEST, a file aside that names it, and that one renamed to CURRENT.</summary>
    void SwitchManifest()
    {
        var old = Any(n => n.StartsWith("MANIFEST", StringComparison.Ordinal));
        var manifest = $"MANIFEST-{nextNumber++:d6}";
        Create(manifest);
        Append(manifest);
        var aside = Named(".dbtmp");
        Create(aside);
        Append(aside, Encoding.UTF8.GetBytes(manifest + "\n"));
        File.Move(At(aside), At("CURRENT"), overwrite: true);
        files["CURRENT"] = files[aside];
        files.Remove(aside);
        Directory.Recorder.Renamed(aside, "CURRENT");
        if (old is not null) Delete(old);
    }

    string At(string name) => Path.Combine(path, name);

    public ValueTask DisposeAsync() => Directory.DisposeAsync();
}
