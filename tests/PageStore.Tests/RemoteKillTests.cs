using System.Diagnostics;
using System.Globalization;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.TestServers;
using Xunit.Abstractions;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// A writer with a remote is killed at random; then either its directory is opened again, or its machine is lost and an
/// empty directory restored, or the next writer begins on an empty one before all is there. Nothing that was
/// acknowledged is missing, and every byte is what the commits left. RECOVERY_SOAK_SECONDS goes on for so long.
/// </summary>
[Trait(Seeds.Kind, Seeds.Random)]
public abstract class RemoteKillTests(ITestOutputHelper output) : IDisposable
{
    static readonly double SoakSeconds =
        double.Parse(Environment.GetEnvironmentVariable("RECOVERY_SOAK_SECONDS") ?? "0", CultureInfo.InvariantCulture);

    // Enough for a few of each kind without a soak.
    const int Rounds = 8, LinesMax = 500;

    readonly string root = Directory.CreateTempSubdirectory("recovery-killed-").FullName;

    public void Dispose() => Directory.Delete(root, recursive: true);

    protected abstract Task<RemotePlace> NewPlaceAsync();

    /// <summary>What the writer's process needs to reach the remote.</summary>
    protected virtual Dictionary<string, string> ChildEnvironment => [];

    [Fact]
    public Task Whatever_was_acknowledged_comes_back_byte_for_byte() => Seeds.OnceAsync(RunAsync);

    async Task RunAsync(Random random)
    {
        var place = await NewPlaceAsync();
        var directory = Path.Combine(root, "0");
        var (returned, shipped, most, restores, begun) = (0L, 0L, 0L, 0, 0);
        var end = Stopwatch.GetTimestamp() + (long)(SoakSeconds * Stopwatch.Frequency);
        for (var round = 1; round <= Rounds || Stopwatch.GetTimestamp() < end; round++)
        {
            (returned, shipped) =
                await WriteAndKillAsync(directory, place.Url, random.Next(1, LinesMax), returned, shipped, most);
            most = returned;
            // Before the first answer of the remote, there may be none.
            if (shipped == 0 || random.Next(2) == 0)
            {
                using var store =
                    Store.Open(KilledRemoteWriter.OptionsFor(directory, place.Url) with { Remote = place.Options });
                var found = KilledRemoteWriter.Check(store);
                Assert.InRange(found, returned, returned + 1);
                most = returned = found;
                continue;
            }
            Directory.Delete(directory, recursive: true);
            directory = Path.Combine(root, $"{round}");
            if (random.Next(2) == 0)
            {
                // What the machine had and the remote had not is lost.
                begun++;
                returned = shipped;
                continue;
            }
            await place.RestoreAsync(KilledRemoteWriter.OptionsFor(directory, null));
            restores++;
            using (var restored =
                Store.Open(KilledRemoteWriter.OptionsFor(directory, place.Url) with { Remote = place.Options }))
            {
                var found = KilledRemoteWriter.Check(restored);
                Assert.InRange(found, shipped, returned + 1);
                most = returned = shipped = found;
            }
        }
        output.WriteLine($"{returned} commits, {restores} restores, {begun} lazy beginnings");
    }

    async Task<(long Returned, long Shipped)> WriteAndKillAsync(string directory, string url, int lines, long returned,
        long shipped, long most)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!,
            ["exec", typeof(KilledRemoteWriter).Assembly.Location, nameof(KilledRemoteWriter), directory, url])
        {
            RedirectStandardOutput = true,
        };
        if (Path.GetFileNameWithoutExtension(start.FileName) != "dotnet") start.FileName = "dotnet";
        foreach (var (name, value) in ChildEnvironment) start.Environment[name] = value;
        using var writer = Process.Start(start)!;
        var read = 0;
        // What is in the pipe when it dies was said before.
        while (await writer.StandardOutput.ReadLineAsync() is { } line)
        {
            var number = long.Parse(line.AsSpan(line.IndexOf(' ') + 1), CultureInfo.InvariantCulture);
            if (line.StartsWith("found", StringComparison.Ordinal)) Assert.InRange(number, returned, most + 1);
            if (line.StartsWith("remote", StringComparison.Ordinal)) shipped = number; else returned = number;
            if (++read == lines) writer.Kill();
        }
        await writer.WaitForExitAsync();
        Assert.True(read >= lines, $"The writer ended by itself after {read} lines.");
        return (returned, shipped);
    }
}

public sealed class DirectoryKillTests(DirectoryPlaces places, ITestOutputHelper output) : RemoteKillTests(output),
    IClassFixture<DirectoryPlaces>
{
    protected override Task<RemotePlace> NewPlaceAsync() => places.NewAsync();
}

[Collection(S3Collection.Name)]
public sealed class S3KillTests(S3Server server, ITestOutputHelper output) : RemoteKillTests(output)
{
    protected override Task<RemotePlace> NewPlaceAsync() => new BucketPlaces(server).NewAsync();

    protected override Dictionary<string, string> ChildEnvironment => server.Environment;
}
