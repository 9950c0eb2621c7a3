using System.Diagnostics;

namespace RecoveryVfs.Bench;

/// <summary>Litestream's real program (0.3.13), from npm, installed once under build/.</summary>
internal sealed class Litestream
{
    readonly string program;
    readonly string configuration;

    Litestream(string program, string directory, string database, string bucket, Uri? endpoint)
    {
        this.program = program;
        Directory.CreateDirectory(directory);
        configuration = Path.Combine(directory, "litestream.yml");
        var replica = bucket.Length > 0 && RemoteServer.Server is { } server
            ? $"type: s3\n        bucket: {bucket}\n        path: litestream\n        endpoint: "
                + $"{(endpoint ?? server.Endpoint).AbsoluteUri.TrimEnd('/')}\n        region: us-east-1\n        "
                + "force-path-style: true"
            : $"type: file\n        path: {Path.Combine(directory, "replica")}";
        File.WriteAllText(configuration, $"dbs:\n  - path: {database}\n    replicas:\n      - {replica}\n");
    }

    /// <summary>Null when it cannot be had.</summary>
    public static Litestream? Prepare(string directory, string database, string bucket, Uri? endpoint = null)
    {
        var build = Path.GetFullPath(Path.Combine("build", "litestream"));
        Directory.CreateDirectory(build);
        if (Find(build) is null)
        {
            using var npm =
                Process.Start(
                new ProcessStartInfo("npm",
                ["install", "--no-save", "--silent", "--prefix", build, "@flydotio/litestream-linux-x64@1.0.1"]))
                !;
            npm.WaitForExit();
        }
        return Find(build) is { } program ? new Litestream(program, directory, database, bucket, endpoint)
            : null;
    }

    static string? Find(string build) => Directory.EnumerateFiles(build, "litestream", SearchOption.AllDirectories)
        .FirstOrDefault();

    /// <summary>Replicates the database until the replica has it.</summary>
    public void Replicate(Func<bool> isThere)
    {
        using var process = Start("replicate", "-config", configuration);
        // Another program's progress can only be asked for.
        while (!isThere() && !process.HasExited) Thread.Sleep(100);
        // It ships what is left when it is asked to end.
        using (var kill = Process.Start("kill", ["-INT", $"{process.Id}"])) kill.WaitForExit();
        process.WaitForExit();
    }

    /// <summary>Replicates until it is told to end.</summary>
    public Process Start() => Start("replicate", "-config", configuration);

    public bool HasSnapshot(string database)
    {
        using var process = Start("snapshots", "-config", configuration, database);
        var said = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return said.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length > 1;
    }

    /// <summary>Seconds that a restore takes.</summary>
    public double Restore(string database, string to)
    {
        File.Delete(to);
        var started = Stopwatch.GetTimestamp();
        using var process = Start("restore", "-config", configuration, "-o", to, database);
        var said = process.StandardError.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0
            ? Stopwatch.GetElapsedTime(started).TotalSeconds
            : throw new InvalidOperationException("litestream restore: " + said);
    }

    Process Start(params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true
        };
        if (RemoteServer.Server is { } server)
        {
            start.Environment["LITESTREAM_ACCESS_KEY_ID"] = server.Environment["AWS_ACCESS_KEY_ID"];
            start.Environment["LITESTREAM_SECRET_ACCESS_KEY"] = server.Environment["AWS_SECRET_ACCESS_KEY"];
        }
        var process = Process.Start(start)!;
        if (arguments[0] == "replicate")
        {
            process.BeginOutputReadLine();
            process.BeginErrorReadLine();
        }
        return process;
    }
}
