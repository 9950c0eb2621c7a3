using System.Globalization;
using RecoveryVfs.Changes.Versions;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.Rows.Tests;

namespace RecoveryVfs.Changes.Tests;

/// <summary>A state that a database had, and the LSN by which it is found again.</summary>
internal sealed record Moment(ulong Lsn, Model Rows);

/// <summary>
/// A store that ships to a directory, in which tests make databases, and which remembers what SQLite said of them.
/// </summary>
internal sealed class ShippedHistory : IDisposable
{
    readonly string root = Directory.CreateTempSubdirectory("recovery-changes-").FullName;

    public ShippedHistory()
    {
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
        Directory.CreateDirectory(Data);
        Context = new RemoteContext { Store = RemoteUrl.Parse(Url).Open(readOnly: false) };
    }

    public string Data => Path.Combine(root, "data");

    public string Url => "file://" + Path.Combine(root, "remote");

    public RemoteContext Context { get; }

    /// <summary>How SQLite opens a database in the store.</summary>
    public string NameOf(string database, string options = "")
        => $"file:{Data}/{database}?vfs=recovery&remote={Uri.EscapeDataString(Url)}&sync-interval=20{options}";

    /// <summary>What there is now, with its LSN.</summary>
    public static Moment Note(Sqlite db) => new(LsnOf(db), Model.Of(db));

    public static ulong LsnOf(Sqlite db)
        => Convert.ToUInt64(db.Query("PRAGMA recovery_lsn")[0][0], CultureInfo.InvariantCulture);

    public string Place(string name) => Path.Combine(root, name);

    public void Dispose()
    {
        Recovery.CloseIdleStores();
        Context.Store.DisposeAsync().AsTask().GetAwaiter().GetResult();
        Directory.Delete(root, recursive: true);
    }
}
