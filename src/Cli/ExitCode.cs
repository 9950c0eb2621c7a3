using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Cli;

/// <summary>What the program ends with. Part of what scripts rely on; `recovery --help` lists them.</summary>
internal static class ExitCode
{
    public const int Ok = 0;
    public const int Failure = 1;
    public const int Usage = 2;
    public const int NotFound = 3;
    public const int Damaged = 4;
    public const int Busy = 5;

    public const string Explained = """
        Exit codes:
          0  done (also: nothing to do, with --if-db-not-exists and --if-replica-exists)
          1  failed; or, of `status`: needs somebody's attention
          2  makes no sense as asked: wrong usage, a bad URL, something is in the way
          3  not found: no such remote, state, database, store or pin
          4  damaged: something does not verify
          5  in use by another process, or taken over by another writer
        """;

    public static int Of(RecoveryError error) => error switch
    {
        RecoveryError.Invalid => Usage,
        RecoveryError.NotFound => NotFound,
        RecoveryError.Corrupt or RecoveryError.TooNew => Damaged,
        RecoveryError.Busy or RecoveryError.Fenced => Busy,
        _ => Failure,
    };
}
