using RecoveryVfs.RecoveryLog.Records;
using Record = RecoveryVfs.RecoveryLog.Records.Record;

namespace RecoveryVfs.Cli.Tests;

/// <summary>What a remote can do that somebody crafted: nothing outside of the directory that it is restored to, and nothing there either.</summary>
public sealed class HostileRemoteTests(Shipped shipped) : IClassFixture<Shipped>
{
    /// <summary>How a hostile remote names a place outside, and how that is reached from the directory of RocksDB's files.</summary>
    public static TheoryData<string> Attacks => ["absolute table", "relative table", "added small file", "added wal of RocksDB", "second name", "plain file", "database"];

    string Craft(string attack, string victim)
    {
        var remote = shipped.CopyOfRemote();
        switch (attack)
        {
            case "absolute table":
                CraftedRemote.RenameFiles(remote, f => f.Name == "IDENTITY" ? victim : null);
                break;
            case "relative table":
                CraftedRemote.RenameFiles(remote, f => f.Name == "IDENTITY" ? string.Concat(Enumerable.Repeat("../", 30)) + victim[1..] : null);
                break;
            case "added small file":
                CraftedRemote.AddFile(remote, FileClass.RocksSmall, victim, "* * * * * root true\n"u8.ToArray());
                break;
            case "added wal of RocksDB":
                CraftedRemote.AddFile(remote, FileClass.RocksSmall, "000099.log", new byte[100]);
                break;
            case "second name":
                CraftedRemote.EditHints(remote, h => h with { Files = [.. h.Files.Select(f => f.Name == "IDENTITY" ? f with { Names = ["IDENTITY", victim] } : f)] });
                break;
            case "plain file":
                CraftedRemote.AddFile(remote, FileClass.Plain, victim, "* * * * * root true\n"u8.ToArray());
                break;
            default:
                CraftedRemote.EditHints(remote, h => h with { Databases = [.. h.Databases.Select(d => d with { Name = victim })] });
                break;
        }
        return remote;
    }

    [Theory]
    [MemberData(nameof(Attacks))]
    public void Names_that_lead_elsewhere_are_refused_by_name(string attack)
    {
        var victim = shipped.Place("victim");
        var remote = Craft(attack, victim);
        var into = shipped.Place("into");
        var restored = Recover.Run("restore", "file://" + remote, into).MustEndWith(4);
        Assert.Contains("hints/", restored.Errors);
        var verified = Recover.Run("verify", "file://" + remote).MustEndWith(4);
        Assert.Contains("hints/", verified.Errors);
        Assert.False(Path.Exists(victim));
        Assert.False(Directory.Exists(Path.Combine(into, ".recovery")));
    }

    [Theory]
    [InlineData("../x.db")]
    [InlineData("/etc/cron.d/x")]
    [InlineData("..")]
    [InlineData("a\0b")]
    public void A_record_that_names_a_database_elsewhere_is_refused(string name)
    {
        var remote = shipped.CopyOfRemote();
        CraftedRemote.EditRecords(remote, (in Record record) => record.Kind == RecordKind.DatabaseCreated ? CraftedRemote.WithName(record.Body, 4, name) : null);
        var into = shipped.Place("into");
        var restored = Recover.Run("restore", "file://" + remote, into).MustEndWith(4);
        Assert.Contains("names a database", restored.Errors);
        Assert.False(Directory.Exists(Path.Combine(into, ".recovery")));
    }

    [Fact]
    public void A_database_with_a_line_in_its_name_gets_no_stub()
    {
        var remote = shipped.CopyOfRemote();
        const string name = "w\nstore: elsewhere";
        CraftedRemote.EditRecords(remote, (in Record record) =>
            record.Kind == RecordKind.DatabaseCreated && record.Body.EndsWith("w.db"u8) ? CraftedRemote.WithName(record.Body, 4, name) : null);
        var into = shipped.Place("into");
        var restored = Recover.Run("restore", "file://" + remote, into).MustEndWith(0);
        Assert.Contains("control character", restored.Errors);
        Assert.Equal([".recovery", "a.db"], Directory.GetFileSystemEntries(into).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void Crafting_leaves_what_it_does_not_change()
    {
        var remote = shipped.CopyOfRemote();
        CraftedRemote.EditRecords(remote, (in Record _) => null);
        Recover.Run("verify", "file://" + remote).MustEndWith(0);
    }
}
