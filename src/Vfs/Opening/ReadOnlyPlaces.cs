using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.Opening;

/// <summary>
/// Databases that this user cannot write, for want of rights or because their disk is mounted read-only. As stock
/// SQLite does, they are opened for reading then, whatever was asked for; who writes gets SQLITE_READONLY, and the
/// reason.
/// </summary>
internal static class ReadOnlyPlaces
{
    /// <summary>
    /// Why the database at a path can only be read; null when it can be written, or is none that there is.
    /// </summary>
    public static string? WhyReadOnly(ReadOnlySpan<byte> pathBytes, int flags, OpenParameters parameters)
    {
        if ((flags & Sqlite.OpenReadOnly) != 0 || !DatabasePath.IsText(pathBytes)) return null;
        var path = DatabasePath.Of(pathBytes);
        if (Stub.Read(path) is not { Content: PathContent.Stub } stub) return null;
        var directory = DatabaseOpening.StoreOf(path, stub, Options.Process.With(parameters.Values));
        var why = UserRights.WhyNotWrite(directory) ?? UserRights.WhyNotWrite(new StoreHome(directory).Lock);
        return why is null
            ? null
            : $"{path} was opened for reading only: {why}. To read, nothing is missing (mode=ro says so from the "
                + "start); to write, "
            + "remount it for writing or give this user the rights to the database's directory and to all that is in "
                + "its store.";
    }
}
