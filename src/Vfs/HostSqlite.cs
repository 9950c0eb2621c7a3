namespace RecoveryVfs;

/// <summary>The SQLite that has loaded us: how old it is, and its error log.</summary>
internal static class HostSqlite
{
    static volatile Action<int, string>? hostsLog;

    /// <summary>Its number, as 3050002 for 3.50.2; 0 before the VFS is registered.</summary>
    public static int Version { get; private set; }

    public static string VersionText => $"{Version / 1_000_000}.{Version / 1000 % 1000}.{Version % 1000}";

    /// <summary>The VFS is about to be registered with it.</summary>
    public static void Met(int version, Action<int, string> log) => (Version, hostsLog) = (version, log);

    /// <summary>
    /// Reads the beginning of a file through the VFS that plain files go to, as it was when the VFS was registered;
    /// returns the bytes read, or null when it does not open the file. A descriptor of ours would, when it is closed,
    /// take the locks of every connection that this process has on the file.
    /// </summary>
    public static Func<string, byte[], int?>? ReadBeginning { get; set; }

    /// <summary>Says something in its error log.</summary>
    public static void Log(int code, string message) => hostsLog?.Invoke(code, message);

    /// <summary>
    /// The process exits: its log is left alone from here on. What it points to may be gone. SQLite's shell, for one,
    /// keeps it on the stack of its main function, which has returned.
    /// </summary>
    public static void LeaveLog() => hostsLog = null;
}
