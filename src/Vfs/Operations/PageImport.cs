using System.Text;
using RecoveryVfs.Handles;
using RecoveryVfs.Interop;
using RecoveryVfs.Names;
using RecoveryVfs.Opening;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Operations;

/// <summary>
/// Brings a plain database into a store page by page as they lie in its file, in one commit. SQLite holds the file
/// still meanwhile, and does no more: its backup would keep all pages in memory until the end, and read each by itself.
/// </summary>
internal static class PageImport
{
    const int ReadBytes = 1 << 20;

    /// <summary>
    /// False, with nothing done, where this way does not go: pages in a WAL, or a database that has some.
    /// </summary>
    public static bool TryRun(string sourceUri, string to, Action<int, int>? progressed)
    {
        using var source = PlainSource.Open(VfsEntryPoints.Api, sourceUri);
        if (source is null) return false;
        var wasMissing = !File.Exists(to);
        var isDone = false;
        var flags = Sqlite.OpenReadWrite | Sqlite.OpenCreate | Sqlite.OpenMainDb;
        var file = Files.OpenMain(Encoding.UTF8.GetBytes(VfsEntryPoints.FullPath(to)), ref flags, OpenParameters.None);
        try
        {
            if (file is not MainFile { SizeBytes: 0 } target || !TryLock(target)) return false;
            Copy(source, target, progressed);
            Require(target.OnSync([]), to);
            Require(target.Sync(), to);
            Require(target.OnCommitPhaseTwo(), to);
            return isDone = true;
        }
        finally
        {
            file.Close();
            if (wasMissing && !isDone && Stub.Read(to).Content == PathContent.Empty) Stub.Delete(to);
        }
    }

    static bool TryLock(MainFile target) => target.Lock(LockLevel.Shared) == Sqlite.Ok
        && target.Lock(LockLevel.Reserved) == Sqlite.Ok && target.Lock(LockLevel.Exclusive) == Sqlite.Ok;

    static void Copy(PlainSource source, MainFile target, Action<int, int>? progressed)
    {
        var buffer = new byte[Math.Max(ReadBytes, source.PageSize)];
        var total = source.PageCount * source.PageSize;
        for (long at = 0; at < total;)
        {
            var piece = buffer.AsSpan(0, (int)Math.Min(buffer.Length, total - at));
            if (source.Read(piece, at) is var code && code != Sqlite.Ok)
                throw new RecoveryException(RecoveryError.IoRead,
                    $"The plain database could not be read at byte {at} of {total}: SQLite's code {code}.");
            // The first write says how large the target's pages are.
            for (var within = 0; within < piece.Length; within += source.PageSize)
                Require(target.Write(piece.Slice(within, source.PageSize), at + within), null);
            at += piece.Length;
            progressed?.Invoke((int)(at / source.PageSize), (int)source.PageCount);
        }
    }

    static void Require(int code, string? path)
    {
        if (code != Sqlite.Ok)
            throw new RecoveryException((code & 0xff) == Sqlite.Full ? RecoveryError.Full : RecoveryError.IoWrite,
                $"The import failed. {Failures.Last}")
            { Path = path };
    }
}
