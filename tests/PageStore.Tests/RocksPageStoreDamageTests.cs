using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>Damage is reported as Corrupt, and never returned as data.</summary>
public sealed class RocksPageStoreDamageTests : IDisposable
{
    const ulong Last = 300;
    readonly TempDirectory temp = new();
    readonly History history = new(seed: 7);

    public RocksPageStoreDamageTests()
    {
        using var store = RocksPageStore.Open(new() { Directory = temp.Path });
        for (ulong lsn = 60; lsn <= Last; lsn += 60)
        {
            history.WriteTo(store, lsn);
            store.Flush();
        }
    }

    public void Dispose() => temp.Dispose();

    IEnumerable<string> Files(string pattern) => Directory.GetFiles(temp.Path, pattern).Order(StringComparer.Ordinal);

    /// <summary>Reads everything; the state must be that of the LSN, and the LSN's is returned.</summary>
    ulong ReadAll(RocksMode mode = RocksMode.ReadOnly)
    {
        using var store = RocksPageStore.Open(new() { Directory = temp.Path, Mode = mode });
        history.Check(store);
        return store.Applied;
    }

    [Fact]
    public void Undamaged_it_reads_back_in_every_mode()
    {
        var before = Directory.GetFiles(temp.Path).Order().ToList();
        Assert.Equal(Last, ReadAll());
        Assert.Equal(before, Directory.GetFiles(temp.Path).Order()); // read-only leaves no trace
        Assert.Equal(Last, ReadAll(RocksMode.ReadWrite));
        Assert.Equal(Last, ReadAll());
    }

    [Theory]
    [InlineData("*.sst", 120)]
    [InlineData("*.blob", 120)]
    public void A_flipped_bit_is_found_or_does_not_matter(string pattern, int flips)
    {
        // What does not matter: pages that were overwritten, bits that nobody reads.
        var found = Flip(pattern, flips, applied => Assert.Equal(Last, applied));
        Assert.True(found > flips / 10, $"only {found} of {flips} flips were found");
    }

    [Fact]
    public void A_flipped_bit_in_the_manifest_is_found_or_looks_like_an_interrupted_last_write()
    {
        // A record that nothing follows cannot be told from one whose writing was interrupted: then the state is an
        // earlier one, whole.
        var found = Flip("MANIFEST-*", 400, applied => Assert.True(applied <= Last));
        Assert.True(found > 390, $"only {found} of 400 flips were found");
    }

    [Fact]
    public void A_flipped_bit_in_CURRENT_is_found()
        => Assert.Equal(100, Flip("CURRENT", 100, _ => Assert.Fail("not found")));

    [Fact]
    public void A_flipped_bit_where_no_data_depends_on_it_does_no_harm()
        => Flip("IDENTITY", 20, applied => Assert.Equal(Last, applied));

    int Flip(string pattern, int flips, Action<ulong> survived)
    {
        var seed = Random.Shared.Next();
        var random = new Random(seed);
        var files = Files(pattern).ToList();
        var found = 0;
        for (var i = 0; i < flips; i++)
        {
            var file = files[random.Next(files.Count)];
            var good = File.ReadAllBytes(file);
            var (at, bit) = (random.Next(good.Length), random.Next(8));
            var bad = good.ToArray();
            bad[at] ^= (byte)(1 << bit);
            File.WriteAllBytes(file, bad);
            try
            {
                survived(ReadAll());
            }
            catch (RecoveryException e) when (e.Error == RecoveryError.Corrupt)
            {
                found++;
            }
            catch (Exception e)
            {
                throw new Exception(
                    $"seed {seed}, {Path.GetFileName(file)} of {good.Length} bytes, byte {at}, bit {bit}: {e.Message}",
                    e);
            }
            File.WriteAllBytes(file, good);
        }
        return found;
    }

    [Theory]
    [InlineData("CURRENT")]
    [InlineData("MANIFEST-*")]
    [InlineData("*.sst")]
    [InlineData("*.blob")]
    public void A_missing_file_is_damage_and_never_a_new_store(string pattern)
    {
        var victim = Files(pattern).Last();
        File.Delete(victim);
        var others = Directory.GetFiles(temp.Path, "*.blob").Length;
        foreach (var mode in new[] { RocksMode.ReadOnly, RocksMode.ReadWrite })
        {
            var error = Assert.Throws<RecoveryException>(() => ReadAll(mode));
            Assert.Equal(RecoveryError.Corrupt, error.Error);
            // RocksDB tries .ldb last
            Assert.True(error.Message.Contains(Path.GetFileNameWithoutExtension(victim)), error.Message);
        }
        Assert.Equal(others, Directory.GetFiles(temp.Path, "*.blob").Length);
    }

    [Theory]
    [InlineData("*.sst")]
    [InlineData("*.blob")]
    public void A_file_cut_short_is_found_at_once(string pattern)
    {
        var victim = Files(pattern).Last();
        using (var file = File.OpenWrite(victim))
            file.SetLength(file.Length - 1);
        var error = Assert.Throws<RecoveryException>(() => RocksPageStore.Open(new() { Directory = temp.Path }));
        Assert.Equal(RecoveryError.Corrupt, error.Error);
        Assert.Contains(temp.Path, error.Message);
    }

    [Fact]
    public void A_manifest_cut_anywhere_is_an_earlier_state_or_damage()
    {
        var manifest = Files("MANIFEST-*").Single();
        var whole = File.ReadAllBytes(manifest);
        var prefixes = new HashSet<ulong>();
        for (var length = whole.Length; length > 0; length -= 13)
        {
            Assert.Null(ManifestCheck.FindDamage(whole.AsSpan(0, length)));
            File.WriteAllBytes(manifest, whole[..length]);
            try
            {
                prefixes.Add(ReadAll());
            }
            catch (RecoveryException e) when (e.Error == RecoveryError.Corrupt)
            {
                // Before the first flush there is nothing yet; and what compactions deleted cannot be gone back to.
            }
        }
        Assert.Contains(Last, prefixes);
        Assert.True(prefixes.Count > 1, "no earlier state was reached");
    }

    [Fact]
    public void A_directory_without_a_store_is_not_found_for_reading()
    {
        var error = Assert.Throws<RecoveryException>(()
            => RocksPageStore.Open(new() { Directory = temp["none"], Mode = RocksMode.ReadOnly }));
        Assert.Equal(RecoveryError.NotFound, error.Error);
        Assert.False(Directory.Exists(temp["none"]));
    }
}
