using System.Runtime.InteropServices;

namespace RecoveryVfs.RecoveryLog.Disk;

/// <summary>What this user may do with a file or a directory, asked without trying.</summary>
internal static class UserRights
{
    const int Search = 1, Write = 2, Read = 4, AsEffectiveUser = 0x200, CurrentDirectory = -100;

    /// <summary>
    /// Why the place cannot be written by this user: its mount, or its rights. Null when it can be, or when it is not
    /// there.
    /// </summary>
    public static string? WhyNotWrite(string path) => Why(path, Write, "write");

    /// <summary>Why this user cannot read a directory; null when it can, or when it is not there.</summary>
    public static string? WhyNotReadIn(string directory) => Why(directory, Read | Search, "read");

    static string? Why(string path, int mode, string what) =>
        Posix.Access(CurrentDirectory, path, mode, AsEffectiveUser) == 0 ? null : Marshal.GetLastPInvokeError() switch
        {
            DiskErrors.EROFS => $"{path} is mounted read-only",
            DiskErrors.EACCES or DiskErrors.EPERM
                => $"this user (number {Posix.EffectiveUser()}) may not {what} {path}",
            _ => null,
        };
}
