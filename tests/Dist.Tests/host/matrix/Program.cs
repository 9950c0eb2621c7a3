// What .NET programs do with SQLite, done with vfs=recovery. Prints the versions, then one line a part.
// usage: matrix DIRECTORY [plain]
using Dapper;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using RecoveryVfs;

var isPlain = args is [_, "plain"];
if (!isPlain) Recovery.Register();
string Uri(string name) => isPlain
    ? $"Data Source={args[0]}/{name}"
    : $"Data Source=file:{args[0]}/{name}?vfs=recovery";

if (!isPlain) await UseDapper(Uri("dapper.db"));
await CreateAndQuery(Uri("created.db"));
await Migrate(Uri("migrated.db"));
await Conflict(Uri("created.db"));

static void Must(bool holds, string what)
{
    if (!holds) throw new InvalidOperationException("not so: " + what);
}

static async Task UseDapper(string uri)
{
    await using var db = new SqliteConnection(uri);
    await db.OpenAsync();
    Console.WriteLine(
        $"Microsoft.Data.Sqlite {typeof(SqliteConnection).Assembly.GetName().Version!.ToString(2)}, SQLite "
            + $"{db.ExecuteScalar<string>("SELECT sqlite_version()")}");
    await db.ExecuteAsync("PRAGMA journal_mode=wal; CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT)");
    await using (var transaction = await db.BeginTransactionAsync())
    {
        await db.ExecuteAsync("INSERT INTO t(name) VALUES (@name)",
            Enumerable.Range(0, 100).Select(i => new { name = "n" + i }), transaction);
        await transaction.CommitAsync();
    }
    await using (var undone = await db.BeginTransactionAsync())
    {
        await db.ExecuteAsync("DELETE FROM t", transaction: undone);
        await undone.RollbackAsync();
    }
    Must((await db.QueryAsync<string>("SELECT name FROM t WHERE id > 95 ORDER BY id"))
        .SequenceEqual(["n95", "n96", "n97", "n98", "n99"]), "five rows");
    Must(await db.ExecuteScalarAsync<string>("PRAGMA recovery_verify") == "ok", "verified");
    Console.WriteLine("dapper");
}

static async Task CreateAndQuery(string uri)
{
    await using var context = new Shop(uri);
    Must(await context.Database.EnsureCreatedAsync(), "the database is new");
    context.Orders.AddRange(Enumerable.Range(1, 50)
        .Select(i => new Order { Customer = i % 2 == 0 ? "even" : "odd", Cents = i, Version = 1 }));
    await context.SaveChangesAsync();
    Must(!await context.Database.EnsureCreatedAsync(), "it is there already");
    Must(await context.Orders.Where(o => o.Customer == "even").SumAsync(o => o.Cents) == 650, "the sum");
    var count = 0;
    await foreach (var order in context.Orders.AsNoTracking().OrderByDescending(o => o.Cents).AsAsyncEnumerable())
        Must(order.Cents == 50 - count++, "the order of rows");
    Must(await context.Orders.Where(o => o.Cents > 25)
        .ExecuteUpdateAsync(set => set.SetProperty(o => o.Customer, "rich")) == 25, "rows updated");
    Console.WriteLine("created");
}

static async Task Conflict(string uri)
{
    await using Shop first = new(uri), second = new(uri);
    var (mine, yours) =
        (await first.Orders.SingleAsync(o => o.Cents == 7), await second.Orders.SingleAsync(o => o.Cents == 7));
    (mine.Customer, mine.Version) = ("mine", mine.Version + 1);
    await first.SaveChangesAsync();
    (yours.Customer, yours.Version) = ("yours", yours.Version + 1);
    try
    {
        await second.SaveChangesAsync();
        Must(false, "the second writer is told");
    }
    catch (DbUpdateConcurrencyException)
    {
        Must(await first.Orders.AsNoTracking().Where(o => o.Cents == 7).Select(o => o.Customer).SingleAsync() == "mine",
            "the first one stays");
    }
    Console.WriteLine("conflict");
}

static async Task Migrate(string uri)
{
    await using var context = new Shop(uri);
    Must((await context.Database.GetPendingMigrationsAsync()).Count() == 2, "two are pending");
    await context.Database.MigrateAsync("20260101000000_Orders");
    await context.Database.ExecuteSqlAsync($"INSERT INTO Orders(Customer, Cents, Version) VALUES ('old', 5, 1)");
    await context.Database.MigrateAsync();
    Must((await context.Database.GetAppliedMigrationsAsync())
        .SequenceEqual(["20260101000000_Orders", "20260102000000_Index"]), "both are applied");
    Must((await context.Orders.SingleAsync()).Customer == "old", "the row is still there");
    Console.WriteLine("migrated");
}

public sealed class Order
{
    public int Id { get; set; }
    public string Customer { get; set; } = "";
    public int Cents { get; set; }
    public int Version { get; set; }
}

public sealed class Shop(string uri) : DbContext
{
    public DbSet<Order> Orders => Set<Order>();

    protected override void OnConfiguring(DbContextOptionsBuilder options) =>
        options.UseSqlite(uri)
            .ConfigureWarnings(w
            => w.Ignore(Microsoft.EntityFrameworkCore.Diagnostics.RelationalEventId.PendingModelChangesWarning));

    protected override void OnModelCreating(ModelBuilder model) => model.Entity<Order>(order =>
    {
        order.Property(o => o.Version).IsConcurrencyToken();
        order.HasIndex(o => o.Customer);
    });
}

[DbContext(typeof(Shop)), Migration("20260101000000_Orders")]
public sealed class Orders : Migration
{
    protected override void Up(MigrationBuilder builder) => builder.CreateTable("Orders", table => new
    {
        Id = table.Column<int>(nullable: false).Annotation("Sqlite:Autoincrement", true),
        Customer = table.Column<string>(nullable: false),
        Cents = table.Column<int>(nullable: false),
        Version = table.Column<int>(nullable: false),
    }, constraints: table => table.PrimaryKey("PK_Orders", order => order.Id));
}

[DbContext(typeof(Shop)), Migration("20260102000000_Index")]
public sealed class Index : Migration
{
    protected override void Up(MigrationBuilder builder)
    {
        builder.CreateIndex("IX_Orders_Customer", "Orders", "Customer");
        // SQLite cannot change a column: EF Core builds the table anew.
        builder.AlterColumn<int>("Cents", "Orders", nullable: false, defaultValue: 0);
    }

    protected override void BuildTargetModel(ModelBuilder model) => model.Entity("Order", order =>
    {
        order.Property<int>("Id").ValueGeneratedOnAdd();
        order.Property<string>("Customer").IsRequired();
        order.Property<int>("Cents").HasDefaultValue(0);
        order.Property<int>("Version");
        order.HasKey("Id");
        order.HasIndex("Customer");
        order.ToTable("Orders");
    });
}
