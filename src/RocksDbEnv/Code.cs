using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.RocksDbEnv;

/// <summary><c>recovery::Code</c> of native/recovery_rocksdb.h: which status a C++ program gets.</summary>
internal enum Code
{
    Ok = 0,
    Invalid = 1,
    NotFound = 2,
    Busy = 3,
    NoSpace = 4,
    Io = 5,
    Corrupt = 6,
    Fenced = 7,
    Unsupported = 8,
    TimedOut = 9,
}

/// <summary>Which code an exception is.</summary>
internal static class Codes
{
    public static Code Of(Exception e) => e switch
    {
        RecoveryException { Error: RecoveryError.Remote, IsTransient: true } => Code.TimedOut,
        RecoveryException { Error: var error } => Of(error),
        OutOfMemoryException => Code.NoSpace,
        _ => Code.Io,
    };

    static Code Of(RecoveryError error) => error switch
    {
        RecoveryError.Invalid => Code.Invalid,
        RecoveryError.NotFound => Code.NotFound,
        RecoveryError.Busy => Code.Busy,
        RecoveryError.Full => Code.NoSpace,
        RecoveryError.Corrupt => Code.Corrupt,
        RecoveryError.Fenced => Code.Fenced,
        RecoveryError.Unsupported or RecoveryError.TooNew => Code.Unsupported,
        _ => Code.Io,
    };
}
