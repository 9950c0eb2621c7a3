using System.Diagnostics;

namespace RecoveryVfs.Tests;

/// <summary>
/// A real file system of 200 megabytes, mounted for one process and what that starts: it goes when they end, also when
/// they are killed. Takes root, or a kernel that lets users have namespaces of their own (then only tmpfs).
/// </summary>
public static class SmallDisk
{
    const int SizeMegabytes = 200;

    /// <summary>The argument that makes this assembly's program run a scenario on the disk.</summary>
    public const string Name = "small-disk";

    /// <summary>
    /// Runs this assembly's program with the arguments given, and the disk's directory after them; null when no such
    /// disk can be had, and why.
    /// </summary>
    public static (int ExitCode, string Output)? Run(string kind, string[] arguments, out string reason)
    {
        var directory = Directory.CreateTempSubdirectory("recovery-small-disk-").FullName;
        try
        {
            var disk = Path.Combine(directory, "disk");
            Directory.CreateDirectory(disk);
            var image = Path.Combine(directory, "image");
            var mount = kind == "tmpfs"
                ? $"mount -t tmpfs -o size={SizeMegabytes}m none {disk}"
                : $"truncate -s {SizeMegabytes}m {image} && mkfs.ext4 -q -m 0 {image} && mount -o loop {image} {disk}";
            var probe = Start(["sh", "-c", mount]);
            if (probe.ExitCode != 0)
            {
                reason = $"No {kind} can be mounted here: {probe.Output.Trim()}";
                return null;
            }
            reason = "";
            return Start(
                ["sh", "-c", mount + " && exec \"$@\"", "sh", "dotnet", typeof(SmallDisk).Assembly.Location,
                .. arguments, disk]);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    static (int ExitCode, string Output) Start(string[] command)
    {
        string[] unshare = Environment.IsPrivilegedProcess ? ["--mount"] : ["--map-root-user", "--mount"];
        try
        {
            using var process =
                Process.Start(new ProcessStartInfo("unshare", [.. unshare, "--propagation", "private", .. command])
                {
                    RedirectStandardOutput = true,
                    RedirectStandardError = true,
                })!;
            var errors = process.StandardError.ReadToEndAsync();
            var output = process.StandardOutput.ReadToEnd() + errors.Result;
            process.WaitForExit();
            return (process.ExitCode, output);
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            return (-1, e.Message);
        }
    }
}
