using System.Diagnostics;
using System.Text;
using RecoveryVfs.PageStore.Directories;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RocksDb;
using RocksDbSharp;

namespace RecoveryVfs.Testing;

/// <summary>A RocksDB's directory, a remote, and places to restore to; removed at the end.</summary>
internal sealed class Site : IDisposable
{
    readonly string root = Directory.CreateTempSubdirectory("rocksdb-tests-").FullName;
    readonly string? url;
    int restores;

    /// <param name="url">The remote; without one, a directory.</param>
    public Site(string? url = null) => this.url = url;

    public string Path => At("kv");

    public string RemotePath => At("remote");

    public string Url => url ?? "file://" + RemotePath;

    public string At(string name) => System.IO.Path.Combine(root, name);

    public RecordedRocksDbOptions Recorded => new()
    {
        Remote = Url,
        SyncInterval = TimeSpan.FromMilliseconds(50),
    };

    public RecordedRocksDb Open(Action<DbOptions>? configure = null, ColumnFamilies? families = null,
        RecordedRocksDbOptions? recorded = null)
    {
        RecordedRocksDb.Prepare();
        var options = new DbOptions().SetCreateIfMissing().SetCreateMissingColumnFamilies();
        configure?.Invoke(options);
        return families is null
            ? RecordedRocksDb.Open(options, Path, recorded ?? Recorded)
            : RecordedRocksDb.Open(options, Path, families, recorded ?? Recorded);
    }

    /// <summary>Restores the newest state, or another, into a directory of its own.</summary>
    public async Task<(string Path, DirectoryRestored Restored)> RestoreAsync(RestoreTarget target = default)
    {
        var path = At($"restored-{Interlocked.Increment(ref restores)}");
        await using var objects = RemoteUrl.Parse(Url).Open(readOnly: true, TimeProvider.System);
        var context = new RemoteContext { Store = objects, OpenSpool = RemoteContext.SpoolsIn(root) };
        var plan = await RestorePlanner.PlanAsync(context, target);
        return (path, await DirectoryRestore.RestoreAsync(plan, path));
    }

    /// <summary>All pairs of the default family, read by a RocksDB that nobody records.</summary>
    public static SortedDictionary<string, string> Read(string path)
    {
        RecordedRocksDb.Prepare();
        using var db = RocksDbSharp.RocksDb.OpenReadOnly(new DbOptions(), path, false);
        return Read(db);
    }

    public static SortedDictionary<string, string> Read(RocksDbSharp.RocksDb db, ColumnFamilyHandle? family = null)
    {
        var pairs = new SortedDictionary<string, string>(StringComparer.Ordinal);
        using var iterator = db.NewIterator(family);
        for (iterator.SeekToFirst(); iterator.Valid(); iterator.Next())
            pairs.Add(Encoding.UTF8.GetString(iterator.Key()), Encoding.UTF8.GetString(iterator.Value()));
        return pairs;
    }

    /// <summary>Runs a program that must succeed, and returns what it said.</summary>
    public static string Run(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{program} {string.Join(' ', arguments)}: {output}{errors.Result}");
        return output;
    }

    public void Dispose() => Directory.Delete(root, recursive: true);
}
