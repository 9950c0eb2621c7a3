using System.Diagnostics;
using System.Text.RegularExpressions;

namespace RecoveryVfs.Rows.Tests;

/// <summary>
/// Two others who know the difference of two databases: SQLite's session extension, which watched the statements, and
/// its program sqldiff, which compares the files.
/// </summary>
public class SecondOpinionTests
{
    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Changes_are_those_that_the_session_extension_saw()
    {
        Assert.True(SessionOracle.IsThere, "This SQLite has no session extension.");
        Seeds.Run(400, random =>
        {
            using var orders = new OrdersDatabase(random);
            orders.Change(random.Next(1, 60));
            var before = orders.File;
            List<string> seen;
            using (var session = new SessionOracle(orders.Db))
            {
                orders.Change(random.Next(1, 40));
                seen = session.Changes();
            }
            var changes = Difference(before, orders.File).Where(t => !t.After!.IsInternal).SelectMany(t => t.Changes())
                .Select(SessionOracle.Say);
            Assert.Equal(seen.Order(StringComparer.Ordinal), changes.Order(StringComparer.Ordinal));
        });
    }

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Sqldiff_counts_the_same_changes() => Seeds.Run(12, random =>
    {
        using var orders = new OrdersDatabase(random);
        orders.Change(random.Next(1, 60));
        var before = orders.File;
        var copy = orders.FilePath + ".before";
        File.WriteAllBytes(copy, before);
        orders.Change(random.Next(1, 40));
        var expected = Sqldiff(copy, orders.FilePath);
        File.Delete(copy);
        var changes = Difference(before, orders.File)
            .ToDictionary(t => t.After!.Name, t => t.Changes().CountBy(c => c.Kind).ToDictionary());
        foreach (Match line in Regex.Matches(expected, @"^(\w+): (\d+) changes, (\d+) inserts, (\d+) deletes",
            RegexOptions.Multiline))
        {
            var counts = changes[line.Groups[1].Value];
            int Of(ChangeKind kind) => counts.GetValueOrDefault(kind);
            Assert.Equal(line.Value,
                $"{line.Groups[1].Value}: {Of(ChangeKind.Update)} changes, {Of(ChangeKind.Insert)} inserts, "
                    + $"{Of(ChangeKind.Delete)} deletes");
        }
        Assert.Contains("orders: ", expected, StringComparison.Ordinal);
    });

    static IReadOnlyList<TableDifference> Difference(byte[] before, byte[] after)
    {
        var (a, b) = (new MemoryPages(before), new MemoryPages(after));
        return new VersionDifference(new RowReader(a), new RowReader(b), new PageEquality(a, b)).Tables;
    }

    static string Sqldiff(string before, string after)
    {
        using var process =
            Process.Start(
            new ProcessStartInfo("sqldiff",
            ["--summary", "--primarykey", before, after])
            { RedirectStandardOutput = true })
            !;
        var text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
        return text;
    }
}
