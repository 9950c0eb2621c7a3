namespace RecoveryVfs.Testing;

/// <summary><c>recovery verify</c> of a RocksDB's remote names what is damaged or missing.</summary>
public sealed class VerifyTests(ShippedRocksDb shipped) : IClassFixture<ShippedRocksDb>
{
    [Fact]
    public void What_is_whole_verifies_and_the_report_tells_of_it()
    {
        var report = Programs.Recovery("verify", shipped.Url, "--json").MustEndWith(0).Json;
        Assert.Equal("ok", report.GetProperty("result").GetString());
        Assert.True(report.GetProperty("files").GetInt32() >= 5);
        Assert.Equal(Extents(shipped.Url["file://".Length..]).Count(),
            report.GetProperty("extents").GetInt32());
    }

    /// <summary>Without the lists of their blocks' hashes, which have longer names.</summary>
    static IEnumerable<string> Extents(string remote) => Directory.EnumerateFiles(Path.Combine(remote, "extents"))
        .Where(p => RecoveryLog.Remote.Formats.RemoteNames.TryParseExtent("extents/" + Path.GetFileName(p), out _));

    [Fact]
    public void Any_one_damaged_object_is_named()
    {
        var remote = shipped.CopyOfRemote();
        foreach (var kind in (string[])["extents", "log", "hints"])
        {
            var path = Directory.EnumerateFiles(Path.Combine(remote, kind)).Order(StringComparer.Ordinal).First();
            var whole = File.ReadAllBytes(path);
            var damaged = whole.ToArray();
            damaged[damaged.Length / 2] ^= 1;
            File.WriteAllBytes(path, damaged);
            var said = Programs.Recovery("verify", "file://" + remote).MustEndWith(4);
            Assert.Contains($"{kind}/{Path.GetFileName(path)}", said.Errors, StringComparison.Ordinal);
            File.WriteAllBytes(path, whole);
        }
        Programs.Recovery("verify", "file://" + remote).MustEndWith(0);
    }

    [Fact]
    public void A_table_that_no_hints_name_is_checked_as_well()
    {
        var remote = shipped.CopyOfRemote();
        // The newest table was sealed after the newest hints, or is named by them: each must be looked at.
        foreach (var path in Extents(remote))
        {
            var whole = File.ReadAllBytes(path);
            File.WriteAllBytes(path, [.. whole[..^1], (byte)(whole[^1] ^ 1)]);
            var said = Programs.Recovery("verify", "file://" + remote).MustEndWith(4);
            Assert.Contains(Path.GetFileName(path), said.Errors, StringComparison.Ordinal);
            File.WriteAllBytes(path, whole);
        }
    }
}
