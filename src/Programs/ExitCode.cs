using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Programs;

/// <summary>
/// What the programs end with: one list for both, which scripts rely on. --help shows it, and so does
/// docs/OPERATIONS.md.
/// </summary>
internal static class ExitCode
{
    public const int Ok = 0;
    public const int Failure = 1;
    public const int Usage = 2;
    public const int NotFound = 3;
    public const int Damaged = 4;
    public const int Busy = 5;

    /// <summary>Every code with its meaning.</summary>
    public static IReadOnlyList<(int Code, string Word, string Meaning)> All { get; } =
    [
        (Ok, "ok", "done, or stopped by a signal; also: nothing to do, with --if-db-not-exists and "
            + "--if-replica-exists"),
        (Failure, "failed",
            "failed: no room, no rights, the remote cannot be reached; of status, check and doctor: needs somebody's "
                + "attention"),
        (Usage, "usage", "makes no sense as asked: wrong usage, a bad URL, something is in the way"),
        (NotFound, "not-found", "not found: no such remote, state, database, store or pin"),
        (Damaged, "damaged", "damaged: something does not verify, or is of a newer version"),
        (Busy, "busy", "in use by another process, or taken over by another writer"),
    ];

    /// <summary>For the help.</summary>
    public static string Explained
        => "Exit codes:\n" + string.Join('\n', All.Select(c => Wrapped.Row($"{c.Code}", 1, c.Meaning)));

    public static string WordOf(int code) => All.FirstOrDefault(c => c.Code == code).Word ?? "failed";

    public static int Of(RecoveryError error) => error switch
    {
        RecoveryError.Invalid => Usage,
        RecoveryError.NotFound => NotFound,
        RecoveryError.Corrupt or RecoveryError.TooNew => Damaged,
        RecoveryError.Busy or RecoveryError.Fenced => Busy,
        _ => Failure,
    };
}
