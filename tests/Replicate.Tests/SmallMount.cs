using System.Diagnostics;

namespace RecoveryVfs.Replicate.Tests;

/// <summary>
/// A real file system of a few megabytes, mounted in a directory; needs root. What fills it can be taken away again.
/// </summary>
internal sealed class SmallMount : IDisposable
{
    readonly string ballast;

    SmallMount(string path) => (Path, ballast) = (path, System.IO.Path.Combine(path, "ballast"));

    public string Path { get; }

    /// <summary>Null where nothing can be mounted.</summary>
    public static SmallMount? TryMount(string kind, string at, int megabytes)
    {
        Directory.CreateDirectory(at);
        var mount = kind == "tmpfs" ? $"mount -t tmpfs -o size={megabytes}m none {at}"
            : $"truncate -s {megabytes}m {at}.image && mkfs.ext4 -q -m 0 {at}.image && mount -o loop {at}.image {at}";
        return TryRun(mount) ? new(at) : null;
    }

    static bool TryRun(string command)
    {
        using var process = Process.Start(new ProcessStartInfo("sh", ["-c", command])
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        })!;
        _ = process.StandardError.ReadToEndAsync();
        process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0;
    }

    /// <summary>Writes until there is no room for a byte.</summary>
    public void Fill()
    {
        using var file = new FileStream(ballast, FileMode.Append, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
        for (var size = 1 << 20; size > 0; size /= 2)
            try
            {
                while (true)
                {
                    file.Write(new byte[size]);
                    file.Flush(flushToDisk: true);
                }
            }
            catch (IOException)
            {
                // Less, then.
            }
    }

    public void MakeRoom() => File.Delete(ballast);

    public void Dispose() => TryRun($"umount -l {Path}");
}
