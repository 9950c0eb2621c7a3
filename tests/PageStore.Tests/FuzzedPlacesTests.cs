using System.Security.Cryptography;
using System.Text;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Archives;
using RecoveryVfs.RecoveryLog.Remote.Branches;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// The same as <see cref="FuzzedFormatsTests"/> for what says where the objects of a remote are: a snapshot file that
/// holds them, a branch that stands on another remote; and for bookmarks.
/// </summary>
public sealed class FuzzedPlacesTests : IDisposable
{
    const double Seconds = 2;

    readonly string directory = Directory.CreateTempSubdirectory("recovery-fuzz-").FullName;

    public void Dispose() => Directory.Delete(directory, recursive: true);

    static (string Name, byte[] Bytes)[] Objects =>
        [(RemoteNames.Store, FuzzedFormatsTests.Corpus("store.json")),
            (FuzzedFormatsTests.NameOf("remote-hints", RemoteNames.HintsAt), FuzzedFormatsTests.Corpus("remote-hints")),
            (FuzzedFormatsTests.NameOf("remote-segment", RemoteNames.Segment),
                FuzzedFormatsTests.Corpus("remote-segment"))];

    /// <summary>A snapshot file of the corpus' remote, without the hash that ends it.</summary>
    static byte[] Archive()
    {
        var bytes = new List<byte>();
        bytes.AddRange(ArchiveFormat.Begin(new ArchiveDescription
        {
            Kind = ArchiveDescription.Full,
            LogId = Guid.Empty,
            Lsn = 1,
            Created = DateTimeOffset.UnixEpoch,
            From = "a test",
        }));
        foreach (var (name, content) in Objects)
        {
            bytes.AddRange(ArchiveFormat.BeginEntry(name, content.Length));
            bytes.AddRange(content);
            bytes.AddRange(SHA256.HashData(content));
        }
        bytes.Add(ArchiveFormat.End);
        return [.. bytes];
    }

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Snapshot_file() => FuzzedFormatsTests.Fuzz("snapshot file", Archive, Seconds, (bytes, random) =>
    {
        var path = Path.Combine(directory, "snapshot");
        // Now and then a hash of one object is wrong, which is not all that there is to it.
        File.WriteAllBytes(path, [.. bytes, .. SHA256.HashData(bytes)]);
        using var file = ArchiveFile.Open(path);
        var context = new RemoteContext { Store = ArchiveObjectStore.Of([file]), Tries = 1 };
        Plan(context);
    });

    [Fact]
    public void The_snapshot_file_itself_is_read()
    {
        var (path, bytes) = (Path.Combine(directory, "snapshot"), Archive());
        File.WriteAllBytes(path, [.. bytes, .. SHA256.HashData(bytes)]);
        using var file = ArchiveFile.Open(path);
        Assert.Equal(Objects.Select(o => o.Name).Order(), file.Objects.Keys.Order());
    }

    static byte[] Branched() => (StoreObject.Parse(FuzzedFormatsTests.Corpus("store.json")) with
    {
        Format = 2,
        Branch = new BranchOrigin("file:///parent", Guid.Empty, 7, BranchMaking.PinPrefix + "1",
            DateTimeOffset.UnixEpoch),
    }).ToBytes();

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Store_object_of_a_branch() => FuzzedFormatsTests.Fuzz("branch", Branched, Seconds, (bytes, _) =>
    {
        Put([(RemoteNames.Store, bytes), .. Objects.Skip(1)]);
        Plan(new RemoteContext { Store = new FileObjectStore(At("branch"), readOnly: true), Tries = 1 });
    });

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Base_object() => FuzzedFormatsTests.Fuzz("base.json",
        () => new BaseObject { Place = "../parent", Names = BasedObjectStore.Names }.ToBytes(), Seconds, (bytes, _) =>
    {
        Put([(BaseObject.Name, bytes), .. Objects]);
        using var cancel = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        // What is not here is asked for there.
        var context = new RemoteContext { Store = RemoteUrl.Parse("file://" + At("branch")).Open(readOnly: true) };
        context.Store.HeadAsync(BasedObjectStore.Names + new string('0', 50), cancel.Token).AsTask().GetAwaiter()
            .GetResult();
    });

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Bookmarks() => FuzzedFormatsTests.Fuzz("bookmark", () => Encoding.UTF8.GetBytes(Bookmark.Example),
        Seconds / 4, (bytes, _) =>
    {
        var bookmark = Bookmark.Parse(Encoding.UTF8.GetString(bytes));
        Assert.Equal(bookmark, Bookmark.Parse(bookmark.ToString()));
    });

    string At(string name) => Path.Combine(directory, name);

    void Put((string Name, byte[] Bytes)[] objects)
    {
        if (Directory.Exists(At("branch"))) Directory.Delete(At("branch"), recursive: true);
        foreach (var (name, content) in objects)
        {
            var path = Path.Combine(At("branch"), name);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllBytes(path, content);
        }
    }

    static void Plan(RemoteContext context)
    {
        var plan = RestorePlanner.PlanAsync(context, RestoreTarget.Newest).GetAwaiter().GetResult();
        plan.ReplayAsync((in RecoveryLog.Records.Record _) => { }).GetAwaiter().GetResult();
    }
}
