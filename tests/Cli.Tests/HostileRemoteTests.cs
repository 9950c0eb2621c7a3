using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using Record = RecoveryVfs.RecoveryLog.Records.Record;

namespace RecoveryVfs.Cli.Tests;

/// <summary>
/// What a remote can do that somebody crafted: nothing outside of the directory that it is restored to, and nothing
/// there either.
/// </summary>
public sealed class HostileRemoteTests(Shipped shipped) : IClassFixture<Shipped>
{
    /// <summary>
    /// How a hostile remote names a place outside, and how that is reached from the directory of RocksDB's files.
    /// </summary>
    public static TheoryData<string> Attacks
        => ["absolute table", "relative table", "added small file", "added wal of RocksDB", "second name", "plain file",
            "database"];

    string Craft(string attack, string victim)
    {
        var remote = shipped.CopyOfRemote();
        switch (attack)
        {
            case "absolute table":
                CraftedRemote.RenameFiles(remote, f => f.Name == "IDENTITY" ? victim : null);
                break;
            case "relative table":
                CraftedRemote.RenameFiles(remote, f => f.Name
                    == "IDENTITY" ? string.Concat(Enumerable.Repeat("../", 30)) + victim[1..] : null);
                break;
            case "added small file":
                CraftedRemote.AddFile(remote, FileClass.RocksSmall, victim, "* * * * * root true\n"u8.ToArray());
                break;
            case "added wal of RocksDB":
                CraftedRemote.AddFile(remote, FileClass.RocksSmall, "000099.log", new byte[100]);
                break;
            case "second name":
                CraftedRemote.EditHints(remote,
                    h => h with
                    {
                        Files =
                            [.. h.Files.Select(f => f.Name == "IDENTITY" ? f with { Names = ["IDENTITY", victim] } : f)]
                    });
                break;
            case "plain file":
                CraftedRemote.AddFile(remote, FileClass.Plain, victim, "* * * * * root true\n"u8.ToArray());
                break;
            default:
                CraftedRemote.EditHints(remote,
                    h => h with { Databases = [.. h.Databases.Select(d => d with { Name = victim })] });
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
        CraftedRemote.EditRecords(remote, (in Record record) => record.Kind
            == RecordKind.DatabaseCreated ? CraftedRemote.WithName(record.Body, 4, name) : null);
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
            record.Kind == RecordKind.DatabaseCreated
                && record.Body.EndsWith("w.db"u8) ? CraftedRemote.WithName(record.Body, 4, name) : null);
        var into = shipped.Place("into");
        var restored = Recover.Run("restore", "file://" + remote, into).MustEndWith(0);
        Assert.Contains("control character", restored.Errors);
        Assert.Equal([".recovery", "a.db"], Directory.GetFileSystemEntries(into).Select(Path.GetFileName).Order());
    }

    /// <summary>
    /// Any record of the log with any bytes, under right hashes, in a process that may have 256 MB: an error or the
    /// data, no crash and no hang.
    /// </summary>
    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Records_of_any_bytes_end_in_an_error_or_in_data() => Seeds.RunFor(5, 1, (seed, _) =>
    {
        var random = new Random(seed);
        var remote = shipped.CopyOfRemote();
        var victim = (ulong)random.Next(1, (int)shipped.Lsns[^1]);
        CraftedRemote.EditRecords(remote, (in Record record) =>
        {
            if (record.Lsn != victim) return null;
            var body = record.Body.ToArray();
            for (var n = random.Next(1, 4); n > 0 && body.Length > 0; n--)
                switch (random.Next(3))
                {
                    case 0: body[random.Next(body.Length)] = (byte)random.Next(256); break;
                    case 1: body = body[..random.Next(body.Length + 1)]; break;
                    default: body.AsSpan(random.Next(body.Length)).Fill(0xff); break;
                }
            return body;
        });
        var outcome =
            Recover.RunWith(new() { ["DOTNET_GCHeapHardLimit"] = "0x10000000" }, "restore", "file://" + remote,
            "--database", "a.db", "-o", shipped.Place("out.db"));
        Assert.InRange(outcome.ExitCode, 0, 4);
        Assert.DoesNotContain("   at ", outcome.Errors);
        Directory.Delete(remote, recursive: true);
    });

    /// <summary>
    /// Tables whose every hash and checksum is right, and that end the process of whoever opens them, by RocksDB's own
    /// assertions: nobody who uses the remote dies of them, and who looks is told which files they are.
    /// </summary>
    [Theory]
    [InlineData("a block of data that says it has an index of hashes")]
    [InlineData("a block of the table as a whole that nobody knows")]
    public void A_table_that_ends_its_reader_is_named(string attack)
    {
        var remote = shipped.CopyOfRemote();
        EndTables(remote, attack.StartsWith("a block of data", StringComparison.Ordinal) ? null : 0);
        var url = "file://" + remote;
        var into = shipped.Place("into");
        var restored = Recover.Run("restore", url, into).MustEndWith(4);
        Assert.Contains("not what a store writes", restored.Errors);
        Assert.Contains("Assertion", restored.Errors);
        Assert.False(Directory.Exists(Path.Combine(into, ".recovery", "log")));
        // A plain file is made without RocksDB: where the attack is nothing that is read for it, it comes out right;
        // else it is named.
        var (file, good) = (shipped.Place("out.db"), shipped.Place("good.db"));
        var plain = Recover.Run("restore", url, "--database", "a.db", "-o", file);
        if (plain.ExitCode != 0) Assert.Contains("not what a store writes", plain.MustEndWith(4).Errors);
        else
        {
            Recover.Run("restore", shipped.Remote, "--database", "a.db", "-o", good).MustEndWith(0);
            Assert.Equal(File.ReadAllBytes(good), File.ReadAllBytes(file));
        }
        // An application that restores by itself, and one that follows.
        foreach (var options in (string[])["auto-restore=on&remote=", "mode=ro&follow="])
        {
            Directory.CreateDirectory(into);
            Assert.ThrowsAny<Microsoft.Data.Sqlite.SqliteException>(()
                => Shipped.Open(into, "a.db", "&" + options + Uri.EscapeDataString(url)));
            Assert.Contains("not what a store writes", Recovery.LastError);
            Shipped.Close();
            Directory.Delete(into, recursive: true);
        }
    }

    /// <summary>
    /// Tables with any entries, under checksums and hashes that are right: keys in no order, pages that are in no file,
    /// lengths of anything. Who reads them says so, or has data; nobody crashes, hangs, or takes memory without end.
    /// </summary>
    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Tables_of_any_contents_end_in_an_error_or_in_data() => Seeds.RunFor(5, 1, (seed, _) =>
    {
        var random = new Random(seed);
        var remote = shipped.CopyOfRemote();
        CraftedRemote.EditExtents(remote, (file, bytes) =>
        {
            if (file.Class != FileClass.RocksTable) return null;
            var blocks = new TableBlocks(bytes);
            for (var n = random.Next(1, 4); n > 0; n--)
            {
                var number = random.Next(blocks.Count);
                var block = blocks.Bytes(number);
                if (random.Next(2) == 0) block[random.Next(block.Length)] = (byte)random.Next(256);
                else block.Slice(random.Next(block.Length))[..1].Fill(0xff);
                blocks.Seal(number);
            }
            return bytes;
        });
        var url = "file://" + remote;
        var limited = new Dictionary<string, string>() { ["DOTNET_GCHeapHardLimit"] = "0x10000000" };
        var into = shipped.Place("into");
        var outcome = (seed % 3) switch
        {
            0 => Recover.RunWith(limited, "restore", url, "--database", "a.db", "-o", shipped.Place("out.db")),
            1 => Recover.RunWith(limited, "restore", url, into),
            _ => Recover.RunWith(limited, "verify", url, "--full"),
        };
        Assert.InRange(outcome.ExitCode, 0, 4);
        Assert.DoesNotContain("   at ", outcome.Errors);
        Directory.Delete(remote, recursive: true);
        if (Directory.Exists(into)) Directory.Delete(into, recursive: true);
    });

    /// <summary>The newest state is sound, and an older one would end whoever restores it.</summary>
    [Fact]
    public void Verify_opens_the_tables_of_older_states_when_it_is_asked_to()
    {
        var (remote, data) = (shipped.Place("remote"), shipped.Place("data"));
        Directory.CreateDirectory(data);
        for (var i = 0; i < 3; i++)
        {
            using (var db = Shipped.Open(data, "a.db", "&hints-bytes=1&remote=file://" + remote))
                Shipped.Execute(db, "CREATE TABLE IF NOT EXISTS t(v); INSERT INTO t VALUES(hex(randomblob(3000)));"
                    + "PRAGMA recovery_checkpoint; PRAGMA recovery_sync; PRAGMA recovery_snapshot");
            Shipped.Close();
        }
        var hints = Directory.GetFiles(Path.Combine(remote, "hints")).Order(StringComparer.Ordinal).ToList();
        Assert.True(hints.Count > 1, $"There are {hints.Count} hints");
        var newest = hints.MaxBy(h => RemoteHintsFormat.Read(File.ReadAllBytes(h), "hints").Header.Lsn)!;
        var kept = File.ReadAllBytes(newest);
        Assert.Equal(hints.Count, Recover.Run("verify", "file://" + remote, "--full", "--json").MustEndWith(0).Json
            .GetProperty("opened_states").GetInt32());
        File.Delete(newest);
        EndTables(remote, block: 0);
        File.WriteAllBytes(newest, kept);
        var url = "file://" + remote;
        var quick = Recover.Run("verify", url).MustEndWith(0);
        Assert.Contains("--full opens them", quick.Output);
        var full = Recover.Run("verify", url, "--full").MustEndWith(4);
        Assert.Contains("not what a store writes", full.Errors);
        Assert.Contains("hints/", full.Errors);
    }

    /// <summary>Makes tables that end who opens them; every hash and checksum is right.</summary>
    static void EndTables(string remote, int? block)
    {
        var tables = 0;
        CraftedRemote.EditExtents(remote, (file, bytes) =>
        {
            if (file.Class != FileClass.RocksTable) return null;
            tables++;
            var blocks = new TableBlocks(bytes);
            // The first key of the metaindex, or the end of the last block of data.
            var number = block ?? blocks.Count - 1;
            if (number == 0) blocks.Bytes(0)[3] = (byte)'a';
            else blocks.Bytes(number)[^1] |= 0x80;
            blocks.Seal(number);
            return bytes;
        });
        Assert.NotEqual(0, tables);
    }

    [Fact]
    public void Crafting_leaves_what_it_does_not_change()
    {
        var remote = shipped.CopyOfRemote();
        CraftedRemote.EditRecords(remote, (in Record _) => null);
        Recover.Run("verify", "file://" + remote).MustEndWith(0);
    }
}
