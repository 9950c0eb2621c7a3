using System.Text;
using RecoveryVfs.RocksDb;
using RocksDbSharp;

namespace RecoveryVfs.Testing;

/// <summary>Pairs as a stream, out of one RocksDB and into another.</summary>
public sealed class PairsTests
{
    [Fact]
    public async Task Ranges_of_a_family_move_to_another_RocksDB_as_of_one_moment()
    {
        using Site site = new(), other = new();
        await using var kv = site.Open(families: new ColumnFamilies { { "second", new ColumnFamilyOptions() } });
        await using var target = other.Open(families: new ColumnFamilies { { "second", new ColumnFamilyOptions() } });
        var second = kv.Db.GetColumnFamily("second");
        for (var i = 0; i < 2000; i++) kv.Db.Put($"key{i:d4}", $"value {i}", second);

        async IAsyncEnumerable<KeyValueEntry> Exported()
        {
            await foreach (var pair in kv.ExportAsync(Bytes("key0100"), Bytes("key1900"), "second"))
            {
                // Not seen: it came later.
                if (Encoding.UTF8.GetString(pair.Key) == "key0100") kv.Db.Put("key0101", "changed", second);
                yield return pair;
            }
        }

        Assert.Equal(1800, await target.ImportAsync(Exported()));
        var read = Site.Read(target.Db, target.Db.GetColumnFamily("second"));
        Assert.Equal(1800, read.Count);
        Assert.Equal("value 101", read["key0101"]);
        Assert.Empty(Site.Read(target.Db));
    }

    [Theory]
    [InlineData("123456789", 12739)]
    [InlineData("foo", 12182)]
    [InlineData("{foo}.bar", 12182)]
    [InlineData("foo{}{bar}", 8363)]
    public void Slots_are_those_of_Redis_Cluster(string key, int slot) => Assert.Equal(slot, KeySlots.Of(Bytes(key)));

    static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);
}
