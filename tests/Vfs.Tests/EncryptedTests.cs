using System.Text;

namespace RecoveryVfs.Tests;

/// <summary>
/// A SQLite that encrypts what it writes, through SQLitePCLRaw: the key never comes to RecoveryVfs, and what the VFS
/// keeps, ships and restores has no plain text.
/// </summary>
public sealed class EncryptedTests : IDisposable
{
    const string Key = "PRAGMA key='a good key'";

    /// <summary>Each journal mode has a database of the store.</summary>
    static readonly (string Name, string Journal)[] databases = [("a.db", "delete"), ("b.db", "wal")];

    readonly TestStore store = new();

    /// <summary>Random, so that no compression changes it where it stands first.</summary>
    readonly string secret = Convert.ToHexString(Guid.NewGuid().ToByteArray());

    public void Dispose() => store.Dispose();

    string Remote => "file://" + store.PathOf("remote");

    string UriOf(string directory, string name, string vfs) =>
        $"file:{store.PathOf(directory)}/{name}?vfs={vfs}&sync-interval=20&remote={Uri.EscapeDataString(Remote)}";

    [Theory]
    [InlineData("SQLCipher", "recovery"), InlineData("SQLite3MultipleCiphers", "multipleciphers-recovery")]
    public async Task Encrypted_databases_are_killed_restored_and_read_with_their_key(string build, string vfs)
    {
        var library = await EncryptingSqlite.LibraryOfAsync(build);
        Write(library, vfs, Key);
        MustBeRead(library, vfs, "data");
        Assert.Empty(FilesWithPlainText("data"));
        Assert.Empty(FilesWithPlainText("remote"));

        // This process has stock SQLite, and no key.
        foreach (var (name, _) in databases)
            await Recovery.RestoreFileAsync(Remote, store.PathOf(name), new RestoreOptions { Database = name });
        await Recovery.RestoreAsync(Remote, store.PathOf("restored"));
        MustBeRead(library, vfs, "restored");
        Assert.Empty(FilesWithPlainText(""));
    }

    /// <summary>The other test would see plain text if there were any.</summary>
    [Fact]
    public async Task Without_a_key_the_plain_text_is_in_the_log_and_in_what_is_restored()
    {
        Write(null, "recovery", "SELECT 1");
        Assert.Contains(FilesWithPlainText("data"), file => file.Contains("/log/"));
        await Recovery.RestoreFileAsync(Remote, store.PathOf("a.db"), new RestoreOptions { Database = "a.db" });
        Assert.Contains(store.PathOf("a.db"), FilesWithPlainText(""));
    }

    /// <summary>By a process that is killed when all of it was shipped.</summary>
    void Write(string? library, string vfs, string key)
    {
        Directory.CreateDirectory(store.PathOf("data"));
        using var shell = new SqlShell(library);
        foreach (var (name, journal) in databases)
        {
            Assert.Equal("ok", shell.Ask("open " + UriOf("data", name, vfs)));
            Assert.DoesNotContain("!", shell.Ask(key));
            Assert.Equal(journal, shell.Ask("PRAGMA journal_mode=" + journal));
            Assert.Equal("", shell.Ask("CREATE TABLE t(i INTEGER PRIMARY KEY, x TEXT)"));
            Assert.Equal("", shell.Ask("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400) "
                + $"INSERT INTO t SELECT i, '{secret}' || i FROM n"));
            Assert.Equal("", shell.Ask("UPDATE t SET x = x || '!' WHERE i % 7 = 0"));
            Assert.DoesNotContain("!", shell.Ask("PRAGMA recovery_sync"));
        }
        shell.Kill();
    }

    void MustBeRead(string library, string vfs, string directory)
    {
        using var shell = new SqlShell(library);
        foreach (var (name, journal) in databases)
        {
            Assert.Equal("ok", shell.Ask("open " + UriOf(directory, name, vfs)));
            Assert.Equal("!26", shell.Ask("SELECT count(*) FROM t"));
            Assert.Equal("ok", shell.Ask("close"));
            Assert.Equal("ok", shell.Ask("open " + UriOf(directory, name, vfs)));
            Assert.Equal("ok", shell.Ask(Key));
            Assert.Equal("400 57", shell.Ask($"SELECT count(*), sum(x LIKE '%!') FROM t WHERE x LIKE '{secret}%'"));
            Assert.Equal(journal, shell.Ask("PRAGMA journal_mode"));
            Assert.Equal("ok", shell.Ask("PRAGMA integrity_check"));
            Assert.Equal("ok", shell.Ask("PRAGMA recovery_verify"));
            Assert.Equal("ok", shell.Ask("close"));
        }
        shell.Finish();
    }

    /// <summary>All but the socket, which a killed process has left.</summary>
    IEnumerable<string> FilesWithPlainText(string directory) =>
        Directory.GetFiles(store.PathOf(directory), "*", SearchOption.AllDirectories)
            .Where(file => Path.GetFileName(file) != "sql" && File.ReadAllBytes(file) is var bytes
                && (bytes.AsSpan().IndexOf(Encoding.UTF8.GetBytes(secret)) >= 0
                    || bytes.AsSpan().StartsWith("SQLite format 3"u8)));
}
