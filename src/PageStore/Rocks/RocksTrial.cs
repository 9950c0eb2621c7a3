using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using Code = RecoveryVfs.PageStore.Interop.Native.Code;

namespace RecoveryVfs.PageStore.Rocks;

/// <summary>How much of a page store is read in its trial. The native library has the same numbers.</summary>
internal enum TrialDepth
{
    All = 0,

    /// <summary>No blob: they are not here.</summary>
    Keys = 1,

    /// <summary>A few blobs: all are proved (<see cref="Sealed.BlobProof"/>).</summary>
    Some = 2,
}

/// <summary>
/// Tries a page store's files that came from a remote, in a process of its own: what was made to end whoever opens it
/// ends that one. RocksDB asserts much of what it reads, and a checksum says only that it is what somebody wrote.
/// </summary>
internal static unsafe class RocksTrial
{
    /// <summary>
    /// Set to "off" where no process can be started: then nothing is tried, and whoever writes to the remote is trusted
    /// with this process.
    /// </summary>
    /// <remarks>Or to "always": then a remote is opened lazily only after its tables were fetched and tried.</remarks>
    const string Switch = "RECOVERY_TRIAL";

    /// <summary>Whether tables are to be tried even where they could come when they are read.</summary>
    public static bool IsForAll => Environment.GetEnvironmentVariable(Switch) == "always";

    /// <summary>
    /// Throws Corrupt when the files cannot be opened, read, and written to. Costs no space to speak of, and two
    /// readings of what the depth says.
    /// </summary>
    /// <param name="pages">The page store's directory, which nobody has open.</param>
    /// <param name="trial">A directory that is made for it beside the first, and removed.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <param name="depth">What is read.</param>
    public static void Run(string pages, string trial, CancellationToken cancellation,
        TrialDepth depth = TrialDepth.All)
    {
        try
        {
            Try(pages, trial, $"The page store's files that were fetched into {pages} are not what a store writes",
                depth, cancellation);
        }
        finally
        {
            if (Directory.Exists(trial)) Directory.Delete(trial, recursive: true);
        }
    }

    /// <summary>
    /// The same for a directory of somebody's RocksDB, which is only read: every block of it, and every pair, but those
    /// for which its application is needed.
    /// </summary>
    public static void RunAny(string directory, CancellationToken cancellation) =>
        Try(directory, null, $"The RocksDB in {directory} cannot be read", TrialDepth.All, cancellation);

    static void Try(string pages, string? trial, string whatIsWrong, TrialDepth depth,
        CancellationToken cancellation)
    {
        if (!File.Exists(Path.Combine(pages, "CURRENT")) || Environment.GetEnvironmentVariable(Switch) == "off") return;
        byte canceled = 0;
        using var registration =
            cancellation.UnsafeRegister(static flag => Volatile.Write(ref *(byte*)(nint)flag!, 1), (nint)(&canceled));
        var code = Native.rv_trial(pages, trial, (int)depth, &canceled, out var error);
        if (code != Code.Ok) Throw(code, RocksErrors.Take(error), pages, whatIsWrong, cancellation);
    }

    static void Throw(Code code, string why, string pages, string whatIsWrong, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        throw code switch
        {
            Code.Corrupt => new RecoveryException(RecoveryError.Corrupt,
                $"{whatIsWrong}: {why.Trim()}. The files were tried in a process of its own, and are not used.",
                "Restore an older state (--at, --lsn), and find out who wrote to the remote."),
            Code.NoSpace => new RecoveryException(RecoveryError.Full,
                $"There is no room to try the files in {pages}: {why.Trim()}.",
                "Free some space on this disk." + DiskRoom.Tell(pages)),
            _ => new RecoveryException(RecoveryError.CannotOpen,
                $"The files in {pages} could not be tried in a process of its own: {why.Trim()}.",
                $"Allow this process to start one, or set {Switch}=off to trust whoever writes to the remote."),
        };
    }
}
