using System.Runtime.InteropServices;
using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>The recorded events say, at every moment, which files a restore needs.</summary>
public sealed partial class RocksPageStoreRecorderTests : IDisposable
{
    readonly TempDirectory temp = new();
    readonly History history = new(seed: 3);

    public void Dispose() => temp.Dispose();

    RocksPageStore Open(ShadowFiles shadow) =>
        RocksPageStore.Open(
            new()
            {
                Directory = temp["pages"],
                Recorder = shadow,
                WriteBufferBytes = 128 << 10,
                GarbageShareMax = 0.2
            });

    [Fact]
    public void The_recorded_files_are_the_directorys()
    {
        var shadow = new ShadowFiles(temp["pages"]);
        using (var store = Open(shadow))
        {
            for (ulong lsn = 50; lsn <= 600; lsn += 50)
            {
                history.WriteTo(store, lsn);
                store.Flush();
                store.CollectGarbage(CancellationToken.None);
            }
            history.Check(store);
        }
        var files = shadow.Snapshot();
        var onDisk = Directory.GetFiles(temp["pages"]).Select(f => Path.GetFileName(f)!)
            .Where(f => !ShadowFiles.IsIgnored(f));
        Assert.Equal(onDisk.Order(), files.Keys.Order());
        foreach (var (name, file) in files)
        {
            var bytes = File.ReadAllBytes(Path.Combine(temp["pages"], name));
            Assert.True(file.Sealed, $"{name} was not sealed");
            Assert.Equal((bytes.Length, ShadowFiles.Crc32C(bytes)), (file.Size, file.Crc));
        }
        Assert.Contains(files.Keys, f => f.EndsWith(".blob", StringComparison.Ordinal));
    }

    [Fact]
    public void A_store_restored_from_the_record_at_any_event_is_a_whole_earlier_state()
    {
        var shadow = new ShadowFiles(temp["pages"]);
        var restores = new List<string>();
        ulong persisted = 0;
        var atLeast = new List<ulong>();
        using (var store = Open(shadow))
        {
            history.Write(store, 1);
            store.Flush();
            shadow.OnEvent = files =>
            {
                if (shadow.Events % 3 != 0)
                    return;
                // Here, in the event, no file of the table can go away.
                var directory = temp[$"restore-{restores.Count}"];
                Directory.CreateDirectory(directory);
                foreach (var (name, file) in files)
                {
                    if (file.Bytes.Length > 0)
                        File.WriteAllBytes(Path.Combine(directory, name), file.Bytes);
                    else if (file.Sealed)
                        Assert.Equal(0, link(Path.Combine(temp["pages"], name), Path.Combine(directory, name)));
                }
                restores.Add(directory);
                atLeast.Add(Volatile.Read(ref persisted));
            };
            for (ulong lsn = 40; lsn <= 480; lsn += 40)
            {
                history.WriteTo(store, lsn);
                store.Flush();
                Volatile.Write(ref persisted, store.PersistedApplied);
                store.CollectGarbage(CancellationToken.None);
            }
            shadow.OnEvent = null;
        }
        Assert.True(restores.Count > 30, $"only {restores.Count} moments");
        var states = new HashSet<ulong>();
        foreach (var (directory, floor) in restores.Zip(atLeast))
        {
            using var restored = RocksPageStore.Open(new() { Directory = directory });
            Assert.True(restored.Applied >= floor, $"{directory}: {restored.Applied} < {floor}");
            history.Check(restored);
            states.Add(restored.Applied);
        }
        Assert.True(states.Count > 5);
    }

    [Fact]
    public void Held_files_stay_until_released()
    {
        using var store = Open(new ShadowFiles(temp["pages"]));
        history.WriteTo(store, 100);
        store.Flush();
        string[] before = [];
        var held = store.HoldFiles();
        // What a compaction has replaced before may still be on its way out.
        Assert.True(SpinWait.SpinUntil(() =>
        {
            before = Directory.GetFiles(temp["pages"], "*.blob");
            if (before.Length == store.Statistics()["blob_files"]) return true;
            held.Dispose();
            held = store.HoldFiles();
            return false;
        }, TimeSpan.FromSeconds(60)));
        using (held)
        {
            for (ulong lsn = 200; lsn <= 800; lsn += 100)
            {
                history.WriteTo(store, lsn);
                store.Flush();
                store.CollectGarbage(CancellationToken.None);
            }
            Assert.Empty(before.Except(Directory.GetFiles(temp["pages"], "*.blob")));
        }
        Assert.NotEmpty(before.Except(Directory.GetFiles(temp["pages"], "*.blob")));
        history.Check(store);
    }

    [LibraryImport("libc.so.6", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int link(string existing, string name);
}
