using System.Text.Json;
using RocksDbSharp;

namespace RecoveryVfs.Testing;

/// <summary><c>recovery-tail</c> of a RocksDB's remote: one line a change of a file.</summary>
public sealed class TailTests(ShippedRocksDb shipped) : IClassFixture<ShippedRocksDb>
{
    /// <summary>
    /// Who does to empty files what the lines say has the names and sizes that the directory has in the end.
    /// </summary>
    [Fact]
    public void All_changes_from_the_beginning_lead_to_the_files_that_there_are()
    {
        var files = new Dictionary<string, long>(StringComparer.Ordinal);
        var last = 0UL;
        foreach (var change in Changes("--from", "start"))
        {
            var lsn = change.GetProperty("lsn").GetUInt64();
            Assert.True(lsn > last);
            last = lsn;
            var name = change.GetProperty("file").GetString()!;
            switch (change.GetProperty("kind").GetString())
            {
                case "created": files[name] = 0; break;
                case "appended":
                    Assert.Equal(files[name], change.GetProperty("offset").GetInt64());
                    files[name] += change.GetProperty("bytes").GetInt64();
                    break;
                case "sealed" or "truncated": files[name] = change.GetProperty("size").GetInt64(); break;
                case "linked": files[change.GetProperty("new_name").GetString()!] = files[name]; break;
                case "renamed":
                    files.Remove(name, out var size);
                    files[change.GetProperty("new_name").GetString()!] = size;
                    break;
                case "deleted": files.Remove(name); break;
                default: Assert.Fail(change.ToString()); break;
            }
        }
        var there = new DirectoryInfo(shipped.Path).EnumerateFiles()
            .Where(f => f.Name != "LOCK" && !f.Name.StartsWith("LOG", StringComparison.Ordinal))
            .ToDictionary(f => f.Name, f => f.Length);
        Assert.Equal(there.OrderBy(f => f.Key, StringComparer.Ordinal), files.OrderBy(f => f.Key,
            StringComparer.Ordinal));
    }

    [Fact]
    public void Files_that_were_there_before_the_place_to_start_at_have_their_names()
    {
        var all = Changes("--from", "start");
        var middle = all[all.Count / 2].GetProperty("lsn").GetUInt64();
        var rest = Changes("--from", middle.ToString(System.Globalization.CultureInfo.InvariantCulture));
        Assert.Equal(all.Skip(all.Count / 2).Select(c => c.ToString()), rest.Select(c => c.ToString()));
        var lines = Programs.Tail(shipped.Url, "--once", "--from", "start").MustEndWith(0).Output;
        Assert.Contains("CURRENT", lines, StringComparison.Ordinal);
        Assert.Contains(".sst  sealed, ", lines, StringComparison.Ordinal);
        Assert.Equal(all.Count, lines.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
    }

    [Theory]
    [InlineData("--rows")]
    [InlineData("--database", "a.db")]
    public void What_is_about_databases_says_that_there_are_none(params string[] options)
    {
        var said = Programs.Tail([shipped.Url, "--once", "--from", "start", .. options]).MustEndWith(2);
        Assert.Contains("holds the files of a RocksDB", said.Errors, StringComparison.Ordinal);
    }

    List<JsonElement> Changes(params string[] options) =>
        [.. Programs.Tail([shipped.Url, "--once", "--json", .. options]).MustEndWith(0).Output
            .Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => JsonDocument.Parse(l).RootElement)];
}
