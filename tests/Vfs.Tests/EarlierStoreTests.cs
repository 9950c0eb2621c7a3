using System.IO.Compression;
using Microsoft.Data.Sqlite;

namespace RecoveryVfs.Tests;

/// <summary>
/// Stores and remotes that commit 14bcb3e made. A process filled three databases, one of them in WAL mode, and was
/// killed within a transaction (<c>killed</c>); another one went on and ended as it should (<c>closed</c>). What reads
/// the formats of today reads theirs: they open, restore and follow.
/// </summary>
public sealed class EarlierStoreTests : IDisposable
{
    readonly TestStore place = new();

    public void Dispose() => place.Dispose();

    /// <summary>
    /// How many rows the databases have: <c>rollback.db</c> and <c>wal.db</c> one for each number from 0 on.
    /// </summary>
    public static TheoryData<string, int, int> Sites => new() { { "killed", 300, 180 }, { "closed", 350, 200 } };

    string RemoteOf(string site) => "file://" + place.PathOf(site + "/remote");

    void Unpack(string site)
    {
        using var archive = ZipFile.OpenRead(Path.Combine(AppContext.BaseDirectory, "earlier", "14bcb3e.zip"));
        foreach (var entry in archive.Entries.Where(e => e.FullName.StartsWith(site + "/", StringComparison.Ordinal)))
        {
            var path = place.PathOf(entry.FullName);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            entry.ExtractToFile(path);
        }
        // It was made at another place, and shipped to one.
        File.WriteAllText(place.PathOf(site + "/data/.recovery/config"), $"remote = {RemoteOf(site)}\n");
    }

    static string Expected(IEnumerable<int> ids)
    {
        var rows = ids.ToList();
        return $"{rows.Count} {rows.Sum()} {rows.Sum(i => $"value {i} ".Length * (i % 7 + 1))}";
    }

    static readonly string Small = Expected(Enumerable.Range(0, 50).Where(i => i % 5 != 0));

    static string Contents(SqliteConnection connection) =>
        connection.Do("SELECT count(*) || ' ' || sum(id) || ' ' || sum(length(value)) FROM t");

    /// <summary>All three, as they are in a directory opened with these options; each is sound.</summary>
    void Check(string directory, string options, int rollback, int wal)
    {
        foreach (var (name, expected) in (IEnumerable<(string, string)>)[
            ("rollback.db", Expected(Enumerable.Range(0, rollback))), ("wal.db", Expected(Enumerable.Range(0, wal))),
                ("small.db", Small)])
        {
            var connection = place.Open($"{directory}/{name}", options);
            Assert.Equal(expected, Contents(connection));
            Assert.Equal("ok", connection.Do("PRAGMA integrity_check"));
            Assert.Equal("ok", connection.Do("PRAGMA recovery_verify"));
            Assert.Equal(name == "small.db" ? "1024" : "4096", connection.Do("PRAGMA page_size"));
        }
    }

    [Theory]
    [MemberData(nameof(Sites))]
    public void It_opens_and_goes_on(string site, int rollback, int wal)
    {
        Unpack(site);
        Check(site + "/data", "", rollback, wal);
        Assert.Equal("wal", place.Open(site + "/data/wal.db").Do("PRAGMA journal_mode"));
        Write(site, rollback, wal);
        Check(site + "/data", "", rollback + 1, wal + 1);
    }

    void Write(string site, int rollback, int wal)
    {
        foreach (var (name, id) in (IEnumerable<(string, int)>)[("rollback.db", rollback), ("wal.db", wal)])
            place.Open($"{site}/data/{name}")
                .Do($"INSERT INTO t VALUES({id}, replace(hex(zeroblob({id} % 7 + 1)), '00', 'value {id} ')); PRAGMA "
                    + "recovery_sync");
        place.Close();
    }

    [Theory]
    [MemberData(nameof(Sites))]
    public void It_restores(string site, int rollback, int wal)
    {
        Unpack(site);
        Check("restored", $"auto-restore=on&remote={Uri.EscapeDataString(RemoteOf(site))}", rollback, wal);
    }

    [Theory]
    [MemberData(nameof(Sites))]
    public void It_is_followed(string site, int rollback, int wal)
    {
        Unpack(site);
        var options = $"follow={Uri.EscapeDataString(RemoteOf(site))}&follow-interval=20";
        Directory.CreateDirectory(place.PathOf("followed"));
        Check("followed", options, rollback, wal);
        place.Close();
        Write(site, rollback, wal);
        Check("followed", options, rollback + 1, wal + 1);
    }
}
