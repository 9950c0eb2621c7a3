using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Tail;

/// <summary>The program's exit codes, as --help lists them.</summary>
static class ExitCodes
{
    public const int Done = 0, Failed = 1, WrongArguments = 2;

    public static int Of(RecoveryError error) => error switch
    {
        RecoveryError.Invalid => WrongArguments,
        RecoveryError.NotFound => 3,
        RecoveryError.Corrupt or RecoveryError.TooNew => 4,
        RecoveryError.Remote => 5,
        RecoveryError.Fenced => 6,
        _ => Failed,
    };
}
