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
    const int OwnerOnly = 0x1C0 /* 0700 */, OthersMayWrite = 0x2;

    readonly FileStream claim;

    /// <summary>Claims <c>PARENT/.NAME.restoring</c>.</summary>
    public Staging(string parent, string name)
    {
        Directory = System.IO.Path.Combine(parent, $".{name.TrimStart('.')}.restoring");
        try
        {
            System.IO.Directory.CreateDirectory(parent);
            if (FileNode.At(Directory + ".lock") is { IsRegular: false } planted)
                throw Planted(Directory + ".lock", planted);
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
                "Choose another place, or mend that one.", e)
            { Path = parent };
        }
        try
        {
            Make(parent);
        }
        catch
        {
            claim.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Nobody else reads what is made in a directory that all may write, whatever rights it gets in its place, and
    /// nobody has put a directory of its own there.
    /// </summary>
    void Make(string parent)
    {
        Clear();
        var isForAll = FileNode.At(parent, follow: true) is { } above && (above.Rights & OthersMayWrite) != 0;
        LocalDisk.Instance.CreateDirectory(Directory, isForAll ? OwnerOnly : null);
        if (FileNode.At(Directory) is not { IsDirectory: true } made || made.Owner != Posix.EffectiveUser())
            throw Planted(Directory, FileNode.At(Directory));
    }

    static RecoveryException Planted(string path, FileNode? found) => new(RecoveryError.Untrusted,
        $"{path} is {found?.Kind ?? "gone"}, put there by somebody else, where this process makes files of its own.",
        "See who did, and choose a directory that others may not write.")
    { Path = path };

    /// <summary>
    /// Removes what processes of this user have left that were killed, of all names that begin so: whoever lives holds
    /// its claim. In a directory that all may write, what others put there is theirs, and a link leads anywhere.
    /// </summary>
    public static void SweepLeft(string parent, string prefix)
    {
        foreach (var claimed in System.IO.Directory.EnumerateFiles(parent, $".{prefix}*.restoring.lock"))
        {
            try
            {
                // Another process may be about to claim it.
                if (FileNode.At(claimed) is not { IsRegular: true } node || node.Owner != Posix.EffectiveUser()
                    || DateTime.UtcNow - System.IO.File.GetLastWriteTimeUtc(claimed) < TimeSpan.FromMinutes(1))
                    continue;
                using var claim = new FileStream(claimed, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
                var left = claimed[..^".lock".Length];
                if (FileNode.At(left) is { IsDirectory: true } directory && directory.Owner == Posix.EffectiveUser())
                    System.IO.Directory.Delete(left, recursive: true);
                File.Delete(claimed);
            }
            catch (Exception e) when (e is RecoveryException or IOException or UnauthorizedAccessException)
            {
                // It is in use.
            }
        }
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
