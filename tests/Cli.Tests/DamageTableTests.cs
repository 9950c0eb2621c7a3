namespace RecoveryVfs.Cli.Tests;

/// <summary>
/// Every kind of file of a store and of a remote, times everything that befalls files: what comes out is the right
/// data, or an error that names the damage. Never other data, a crash or a hang, and in 256 MB. Each case is a process
/// of its own.
/// </summary>
public sealed class DamageTableTests(DamagedFiles files) : IClassFixture<DamagedFiles>
{
    // .NET's own share of what a process may take.
    static readonly Dictionary<string, string> within256MB =
        new() { ["DOTNET_GCHeapHardLimit"] = (256 << 20).ToString("x") };

    /// <summary>
    /// Kinds of a store's files, with what an error says that names them where it is not the file's name.
    /// </summary>
    static readonly (string Pattern, string[] Names)[] local =
    [
        ("data/.recovery/log/*.log", ["/log", "applied", "has no log"]),
        ("data/.recovery/log/durable", ["durable", "/log"]),
        ("data/.recovery/place", ["place"]),
        ("data/.recovery/hints-*", ["hints"]),
        ("data/.recovery/pages/*.sst", ["pages"]),
        ("data/.recovery/pages/*.blob", ["pages"]),
        ("data/.recovery/pages/MANIFEST-*", ["pages"]),
        ("data/.recovery/pages/CURRENT", ["pages"]),
        ("data/.recovery/pages/IDENTITY", ["pages"]),
        ("data/.recovery/files/*", ["files", "WAL"]),
        ("data/.recovery/config", ["config"]),
        ("data/.recovery/author", ["author"]),
        ("data/.recovery/remote", ["remote"]),
        ("data/a.db", ["a.db"]),
    ];

    static readonly (string Pattern, string[] Names)[] remote =
    [
        ("remote/log/*", ["log/", "pins/"]),
        ("remote/extents/*", ["extents/"]),
        ("remote/hints/*", ["hints/"]),
        ("remote/store.json", ["store.json", "no remote"]),
        ("remote/pins/*", ["pins/"]),
    ];

    /// <summary>
    /// What cannot be known, as docs/OPERATIONS.md lists it: the case, and why an older state is right there.
    /// </summary>
    static readonly Dictionary<(string, Damage), string> undetectable = new()
    {
        [("remote/log/*", Damage.Delete)] = "the newest segment of a remote: the log may as well end before it",
    };

    static readonly (string Pattern, string[] Names)[] replica =
        [("replica/.recovery/relay/log/*.log", ["relay", "follower"])];

    public static TheoryData<string, Damage> Local => Table(local);

    public static TheoryData<string, Damage> Replica => Table(replica);

    public static TheoryData<string, Damage> Remote => Table(remote);

    static TheoryData<string, Damage> Table((string Pattern, string[] Names)[] kinds)
    {
        var table = new TheoryData<string, Damage>();
        foreach (var (pattern, _) in kinds)
            foreach (var damage in Enum.GetValues<Damage>()) table.Add(pattern, damage);
        return table;
    }

    [Theory]
    [MemberData(nameof(Local))]
    public void A_damaged_file_of_a_store_is_named_or_does_no_harm(string pattern, Damage damage)
    {
        if (files.Damaged(pattern, damage) is not var (directory, file)) return;
        foreach (var database in pattern.Contains("/files/", StringComparison.Ordinal)
            ? (string[])["a.db", "w.db", "v.db"]
            : ["a.db", "w.db"])
        {
            var output = Path.Combine(directory, "out-" + database);
            var outcome =
                Recover.RunWith(within256MB, "export", Path.Combine(directory, "data", database), "-o", output);
            Judge(outcome, file, local.Single(k => k.Pattern == pattern).Names, () => Shipped.RowsOfPlain(output),
                undetectable.ContainsKey((pattern, damage)));
        }
        Directory.Delete(directory, recursive: true);
    }

    /// <summary>
    /// Whoever reads the follower's directory gets what it had, or is told; the follower itself fetches again what it
    /// needs.
    /// </summary>
    [Theory]
    [MemberData(nameof(Replica))]
    public void A_damaged_relay_is_named_to_readers_and_made_anew_by_its_follower(string pattern, Damage damage)
    {
        if (files.Damaged(pattern, damage) is not var (directory, file)) return;
        var place = Path.Combine(directory, "replica");
        var names = replica.Single(k => k.Pattern == pattern).Names;
        foreach (var database in (string[])["a.db", "w.db"])
            if (RowsBeside(place, database) is var (rows, error) && error is null) Assert.Equal(files.Rows, rows);
            else Assert.Contains(names.Append(Path.GetFileName(file)),
                n => error!.Contains(n, StringComparison.Ordinal));
        Recover.TailWith(within256MB, files.Remote, "--into", place, "--once").MustEndWith(0);
        foreach (var database in (string[])["a.db", "w.db"])
            Assert.Equal((files.Rows, null), RowsBeside(place, database));
        Directory.Delete(directory, recursive: true);
    }

    [Theory]
    [MemberData(nameof(Remote))]
    public void A_damaged_object_of_a_remote_is_named_or_does_no_harm(string pattern, Damage damage)
    {
        if (files.Damaged(pattern, damage) is not var (directory, file)) return;
        var url = "file://" + Path.Combine(directory, "remote");
        var (names, isUndetectable) =
            (remote.Single(k => k.Pattern == pattern).Names, undetectable.ContainsKey((pattern, damage)));
        foreach (var database in (string[])["a.db", "w.db"])
        {
            var output = Path.Combine(directory, "out-" + database);
            var outcome = Recover.RunWith(within256MB, "restore", url, "--database", database, "-o", output);
            Judge(outcome, file, names, () => Shipped.RowsOfPlain(output), isUndetectable);
        }
        var verified = Recover.RunWith(within256MB, "verify", url);
        Judge(verified, file, names, () => files.Rows, isUndetectable);
        Directory.Delete(directory, recursive: true);
    }

    /// <summary>What a reader of a follower's directory is shown, or told.</summary>
    static (long Rows, string? Error) RowsBeside(string place, string database)
    {
        try
        {
            using var connection = Shipped.Open(place, database, "&mode=ro");
            Assert.Equal("ok", Shipped.Scalar(connection, "PRAGMA integrity_check"));
            return (long.Parse(Shipped.Scalar(connection, "SELECT count(*) FROM t"),
                System.Globalization.CultureInfo.InvariantCulture), null);
        }
        catch (Microsoft.Data.Sqlite.SqliteException e)
        {
            return (0, $"{e.Message} {Recovery.LastError}");
        }
        finally
        {
            Shipped.Close();
        }
    }

    void Judge(Outcome outcome, string file, string[] names, Func<long> rows, bool mayBeOlder)
    {
        if (outcome.ExitCode == 0)
        {
            if (mayBeOlder) Assert.InRange(rows(), 0, files.Rows);
            else Assert.Equal(files.Rows, rows());
            return;
        }
        Assert.InRange(outcome.ExitCode, 1, 4);
        Assert.DoesNotContain("   at ", outcome.Errors);
        Assert.True(names.Append(Path.GetFileName(file)).Any(n => outcome.Errors.Contains(n, StringComparison.Ordinal)),
            $"{file}: exit {outcome.ExitCode}, and no word of it in: {outcome.Errors}");
    }
}
