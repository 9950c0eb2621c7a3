namespace RecoveryVfs.Cli.Tests;

/// <summary>Tests with a directory of their own: stores, and a remote beside them.</summary>
public abstract class PlaceTests : IDisposable
{
    readonly string root;

    protected PlaceTests(string name)
    {
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
        root = Directory.CreateTempSubdirectory($"recovery-{name}-").FullName;
        Directory.CreateDirectory(Data);
    }

    public virtual void Dispose()
    {
        Shipped.Close();
        Directory.Delete(root, recursive: true);
        GC.SuppressFinalize(this);
    }

    protected string Root => root;

    protected string Place(string name) => Path.Combine(root, name);

    protected string Data => Place("data");

    protected string Remote => "file://" + Place("remote");
}
