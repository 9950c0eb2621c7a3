using System.Diagnostics;
using System.Globalization;
using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.Bench;

/// <summary>Shipping or restoring in a process of its own, whose peak of memory is its own.</summary>
internal static class RemoteChild
{
    public static (double Seconds, double PeakMegabytes) Run(string what, string directory, string url, int megabytes)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!,
            ["--remote-child", what, directory, url, $"{megabytes}"])
        { RedirectStandardOutput = true };
        start.Environment["DOTNET_gcConcurrent"] = "0";
        using var child = Process.Start(start)!;
        var said = child.StandardOutput.ReadToEnd();
        child.WaitForExit();
        if (child.ExitCode != 0) throw new InvalidOperationException($"The child that should {what} failed.");
        var numbers = said.Split(' ').Select(n => double.Parse(n, CultureInfo.InvariantCulture)).ToArray();
        return (numbers[0], numbers[1]);
    }

    public static int Do(string[] arguments)
    {
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
        var (directory, url, megabytes) =
            (arguments[1], arguments[2], int.Parse(arguments[3], CultureInfo.InvariantCulture));
        var started = Stopwatch.GetTimestamp();
        if (arguments[0] == "ship") Ship(directory, url, megabytes);
        else Restore(directory, url);
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        var peak = File.ReadLines("/proc/self/status").First(l => l.StartsWith("VmHWM:", StringComparison.Ordinal))
            .Split(' ', StringSplitOptions.RemoveEmptyEntries)[1];
        Console.Write(
            string.Create(CultureInfo.InvariantCulture,
            $"{seconds} {double.Parse(peak, CultureInfo.InvariantCulture) / 1024}"));
        return 0;
    }

    static void Ship(string directory, string url, int megabytes)
    {
        Environment.SetEnvironmentVariable("RECOVERY_REMOTE", url);
        Recovery.Register(new RecoveryOptions { Remote = url, HintsBytes = 64 << 20 });
        RemoteRestoreCase.Build(new Side(true, directory), megabytes);
        using (var connection = new Connection($"file:{directory}/a.db?vfs=recovery"))
        {
            connection.Do("PRAGMA recovery_sync");
            // Until nothing more is about to be published; only the status tells.
            while (RemoteSide.Status(connection, "remote_bytes_since_hints") > 64 << 20) Thread.Sleep(100);
        }
        Recovery.CloseIdleStores();
    }

    /// <summary>As `recovery restore URL DIR` does; to a directory that opens as a store.</summary>
    static void Restore(string directory, string url)
    {
        var objects = RemoteUrl.Parse(url).Open(readOnly: true);
        var plan = RestorePlanner.PlanAsync(new RemoteContext { Store = objects }, RestoreTarget.Newest).GetAwaiter()
            .GetResult();
        StoreRestore.RestoreAsync(plan, new StoreOptions { Directory = Path.Combine(directory, ".recovery") })
            .GetAwaiter().GetResult();
        objects.DisposeAsync().AsTask().GetAwaiter().GetResult();
    }
}
