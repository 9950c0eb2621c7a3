using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using SQLitePCL;

namespace RecoveryVfs.Tests;

/// <summary>
/// A machine that has nothing but the URL of its remote: an application that starts there just works, however it looks
/// first.
/// </summary>
public sealed class AutoRestoreTests : IDisposable
{
    readonly TestStore store = new();

    public void Dispose() => store.Dispose();

    string Options => "auto-restore=on&sync-interval=20&remote="
        + Uri.EscapeDataString("file://" + store.PathOf("remote"));

    void WriteAndLose()
    {
        Directory.CreateDirectory(store.PathOf("data"));
        store.Open("data/a.db", Options)
            .Do("CREATE TABLE Notes(Id INTEGER PRIMARY KEY, Text TEXT); INSERT INTO Notes VALUES(1, 'kept')");
        store.Open("data/b.db", Options).Do("CREATE TABLE t(x); PRAGMA recovery_sync");
        store.Close();
        Directory.Delete(store.PathOf("data"), recursive: true);
    }

    [Theory]
    [InlineData(raw.SQLITE_OPEN_READONLY)]
    [InlineData(raw.SQLITE_OPEN_READWRITE)]
    [InlineData(raw.SQLITE_OPEN_READWRITE | raw.SQLITE_OPEN_CREATE)]
    public void It_restores_however_the_database_is_opened(int flags)
    {
        WriteAndLose();
        Assert.Equal(0, raw.sqlite3_open_v2(store.UriOf("data/a.db", Options), out var db, flags | 0x40, null));
        Assert.Equal(0, raw.sqlite3_exec(db, "SELECT * FROM Notes"));
        db.Dispose();
        // The others are there, too, and read by whoever knows of no remote.
        Assert.StartsWith("This is a RecoveryVfs database.", File.ReadAllText(store.PathOf("data/b.db")));
        Assert.Equal("0", store.Open("data/b.db").Do("SELECT count(*) FROM t"));
    }

    [Fact]
    public void Where_nothing_ever_was_it_makes_the_directory()
    {
        Assert.Equal(raw.SQLITE_CANTOPEN,
            raw.sqlite3_open_v2(store.UriOf("new/a.db", Options), out var db, raw.SQLITE_OPEN_READONLY | 0x40, null));
        db.Dispose();
        Assert.False(Directory.Exists(store.PathOf("new")));
        store.Open("new/a.db", Options).Do("CREATE TABLE t(x)");
    }

    [Fact]
    public void A_plain_database_in_the_way_is_left_as_it_is()
    {
        WriteAndLose();
        Directory.CreateDirectory(store.PathOf("data"));
        using (var plain = new SqliteConnection($"Data Source={store.PathOf("data/a.db")};Pooling=false"))
        {
            plain.Open();
            plain.Do("CREATE TABLE theirs(x)");
        }
        Assert.ThrowsAny<Exception>(() => store.Open("data/a.db", Options).Do("SELECT 1"));
        Assert.False(Directory.Exists(store.PathOf("data/.recovery")));
    }

    sealed class Note
    {
        public int Id { get; set; }
        public string? Text { get; set; }
    }

    sealed class Notes(string uri) : DbContext
    {
        public DbSet<Note> All => Set<Note>();

        protected override void OnConfiguring(DbContextOptionsBuilder builder)
            => builder.UseSqlite($"Data Source={uri};Pooling=false");

        protected override void OnModelCreating(ModelBuilder model) => model.Entity<Note>().ToTable("Notes");
    }

    [Theory, InlineData(false), InlineData(true)]
    public void Ef_core_starts_on_a_restored_machine(bool migrates)
    {
        WriteAndLose();
        using (var context = new Notes(store.UriOf("data/a.db", Options)))
        {
            if (migrates) context.Database.Migrate();
            else Assert.False(context.Database.EnsureCreated());
            Assert.Equal("kept", context.All.Single().Text);
            context.All.Add(new Note { Text = "new" });
            context.SaveChanges();
        }
        store.Close();
        Assert.Equal("2", store.Open("data/a.db").Do("SELECT count(*) FROM Notes"));
    }

    [Fact]
    public void Ef_core_deletes_and_creates_anew()
    {
        using (var context = new Notes(store.UriOf("a.db")))
        {
            Assert.True(context.Database.EnsureCreated());
            context.All.Add(new Note { Text = "old" });
            context.SaveChanges();
            Assert.True(context.Database.EnsureDeleted());
            Assert.True(context.Database.EnsureCreated());
            Assert.Empty(context.All);
        }
        store.Close();
        Recovery.Undelete(store.PathOf("a.db"), store.PathOf("old.db"));
        Assert.Equal("old", store.Open("old.db").Do("SELECT Text FROM Notes"));
    }

    [Fact]
    public void Ef_core_starts_on_an_empty_machine()
    {
        using var context = new Notes(store.UriOf("data/a.db", Options));
        Assert.True(context.Database.EnsureCreated());
        Assert.Empty(context.All);
    }
}
