using System.Text.Json;
using System.Text.RegularExpressions;

namespace RecoveryVfs.Dist.Tests;

/// <summary>
/// examples/operate/Dockerfile, without a container: what it copies lies where it says, in a directory in the place of
/// the image's root, and what it starts runs there with the variables that it sets.
/// </summary>
public sealed class ContainerTests
{
    static readonly string[] dockerfile = File.ReadAllText(Path.Combine(Repository.Examples, "operate", "Dockerfile"))
        .Replace("\\\n", " ").Split('\n');

    static IEnumerable<string> Of(string instruction) => dockerfile
        .Where(line => line.StartsWith(instruction + " ", StringComparison.Ordinal))
        .Select(line => line[(instruction.Length + 1)..].Trim());

    [Fact]
    public void The_image_holds_an_application_that_starts_and_comes_back_on_an_empty_volume()
    {
        using var image = new StoreDirectory();
        string InImage(string path) => image.Path + path;
        foreach (var copy in Of("COPY").Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)))
        {
            var (from, to) = (Path.Combine(Repository.Root, copy[0]), InImage(copy[1]));
            Directory.CreateDirectory(Path.GetDirectoryName(to.TrimEnd('/'))!);
            if (Directory.Exists(from)) Directory.CreateSymbolicLink(to.TrimEnd('/'), from.TrimEnd('/'));
            else File.Copy(from, to);
        }
        var variables = Of("ENV").SelectMany(line => Regex.Matches(line, """(\w+)=("[^"]*"|\S+)"""))
            .ToDictionary(match => match.Groups[1].Value, match => match.Groups[2].Value.Trim('"'));
        // Nothing listens in a test on a port that others may have.
        Assert.True(variables.Remove("RECOVERY_METRICS_LISTEN"));
        var programs = InImage(variables["PATH"].Split(':')[0]);
        Assert.True(variables.Remove("PATH"));
        foreach (var program in (string[])["recovery", "recovery-tail"])
            Assert.True(File.Exists(Path.Combine(programs, program)), $"{program} is not on the image's PATH");

        var volume = Of("VOLUME").Single();
        variables["RECOVERY_REMOTE"] = "file://" + InImage("/remote");
        var command = JsonSerializer.Deserialize<string[]>(Of("CMD").Single())!;
        for (var start = 1; start <= 3; start++)
        {
            // A container whose volume was lost.
            if (start == 3) Directory.Delete(InImage(volume), recursive: true);
            Directory.CreateDirectory(InImage(volume));
            var said = Command.RunWith(variables, "/usr/bin/" + command[0],
                [.. command[1..].Select(word => word.StartsWith('/') ? InImage(word) : word)]).MustSucceed();
            Assert.Equal($"python {start}", said.Lines[^1]);
        }
    }

    [Fact]
    public void Its_user_and_its_programs_are_made_or_installed_by_it()
    {
        var run = string.Join(' ', Of("RUN"));
        var user = Of("USER").Single();
        Assert.Matches($@"useradd [^&]*\b{user}\b", run);
        Assert.Contains($"-o {user} ", run);
        Assert.Contains(Of("VOLUME").Single(), run);
        var started = Of("ENTRYPOINT").Concat(Of("CMD"))
            .Select(line => JsonSerializer.Deserialize<string[]>(line)![0]).Distinct();
        foreach (var program in started) Assert.Matches($@"apt-get install [^&]*\b{program}\b", run);
    }
}
