using System.Runtime.InteropServices;
using RecoveryVfs.Followed;
using RecoveryVfs.Opening;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.Operations;

/// <summary>
/// A directory beside its destination in which something is made whole before it is moved into place at once. What an
/// earlier run left there is removed first; what this run leaves, at its end. One process at a time.
/// </summary>
internal sealed class Staging : IDisposable
{
    // EWOULDBLOCK, as .NET hands it on.
    const int HeldByOther = 11;

    readonly FileStream claim;

    /// <summary>Claims <c>PARENT/.NAME.restoring</c>.</summary>
    public Staging(string parent, string name)
    {
        Directory = System.IO.Path.Combine(parent, $".{name.TrimStart('.')}.restoring");
        try
        {
            System.IO.Directory.CreateDirectory(parent);
            claim = new FileStream(Directory + ".lock", FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e) when ((e.HResult & 0xffff) == HeldByOther)
        {
            throw new RecoveryException(RecoveryError.Busy,
                $"Another restore is under way in {Directory}.",
                "Wait for it, or stop it.", e)
            { Path = Directory };
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RecoveryException(RecoveryError.IoWrite,
                $"Nothing can be written in {parent}: "
                + (e is UnauthorizedAccessException
                    ? "permission denied."
                    : Marshal.GetPInvokeErrorMessage(e.HResult & 0xffff) + "."),
                "Choose another place, or mend that one.", e);
        }
        Clear();
        LocalDisk.Instance.CreateDirectory(Directory);
    }

    public string Directory { get; }

    public string Path(string name) => System.IO.Path.Combine(Directory, name);

    /// <summary>Moves something made here to its place, durably.</summary>
    public void MoveOut(string name, string destination)
    {
        if (System.IO.Directory.Exists(Path(name))) System.IO.Directory.Move(Path(name), destination);
        else File.Move(Path(name), destination, overwrite: true);
        LocalDisk.Instance.SyncDirectory(System.IO.Path.GetDirectoryName(destination)!);
    }

    void Clear()
    {
        if (System.IO.Directory.Exists(Directory)) System.IO.Directory.Delete(Directory, recursive: true);
    }

    public void Dispose()
    {
        FollowedDatabases.CloseIdle();
        StoreRegistry.CloseIdle();
        Clear();
        File.Delete(Directory + ".lock");
        claim.Dispose();
    }
}
