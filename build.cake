// The build. Run through ./build.sh, which brings what this needs. One section a concern; a target at the end of each.
using System.Text.RegularExpressions;
using System.Xml.Linq;

var target = Argument("target", "build");
var jobs = Argument("jobs", Environment.ProcessorCount);

const string Solution = "RecoveryVfs.sln";
const string Configuration = "Release";
const string Runtime = "linux-x64";

// ---- processes and totals ----------------------------------------------------------------------------------------------

int passed = 0, failed = 0;

/// Runs a command with its output streaming through; returns its exit code.
int Run(string command, params string[] arguments) => RunWith(null, command, arguments);

int RunWith(Dictionary<string, string> environment, string command, params string[] arguments)
{
    var list = new ProcessArgumentBuilder();
    foreach (var argument in arguments)
        list.AppendQuoted(argument);
    return StartProcess(command, new ProcessSettings { Arguments = list, EnvironmentVariables = environment });
}

/// Runs a command that must succeed.
void Must(string command, params string[] arguments)
{
    var code = Run(command, arguments);
    if (code != 0)
        throw new CakeException($"`{command} {string.Join(" ", arguments)}` failed with exit code {code}; its own message is above.");
}

void Count(string part, int partPassed, int partFailed)
{
    passed += partPassed;
    failed += partFailed;
    Information("{0}: {1} passed, {2} failed", part, partPassed, partFailed);
}

/// A part of the tests that breaks off counts as one failure, and the parts after it still run.
void Part(string name, Action body)
{
    if (!Selected(name))
        return;
    Information("== {0}", name);
    var started = DateTime.UtcNow;
    try
    {
        body();
    }
    catch (Exception problem)
    {
        Error("{0}: {1}", name, problem.Message);
        Count(name, 0, 1);
    }
    Information("== {0}: {1:0} s", name, (DateTime.UtcNow - started).TotalSeconds);
}

bool Selected(string part)
{
    var only = Argument("only", "");
    return only == "" || only.Split(',').Contains(part);
}

// ---- build --------------------------------------------------------------------------------------------------------------

Task("build").Does(() =>
{
    if (FileExists("native/build.sh"))
        Must("native/build.sh");
    Must("dotnet", "build", Solution, "-c", Configuration, "-v", "quiet", "--nologo", "-clp:NoSummary");
});

// ---- unit tests ---------------------------------------------------------------------------------------------------------

void UnitTests()
{
    var results = Directory("build/test-results");
    CleanDirectory(results);
    foreach (var project in GetFiles("tests/*/*.csproj").OrderBy(file => file.FullPath))
        UnitTests(project, results);
}

void UnitTests(FilePath project, DirectoryPath results)
{
    var name = project.GetFilenameWithoutExtension().ToString();
    var arguments = new List<string>
    {
        "test", project.FullPath, "-c", Configuration, "--no-build", "--nologo", "--results-directory", results.FullPath,
        "--logger", $"trx;LogFileName={name}.trx", "--logger", "console;verbosity=normal",
        "--blame-hang-timeout", "10m", "--blame-hang-dump-type", "none",
    };
    var filter = Argument("filter", "");
    if (filter != "")
        arguments.AddRange(["--filter", filter]);
    var code = Run("dotnet", arguments.ToArray());
    var (projectPassed, projectFailed) = ReadTrx(results.CombineWithFilePath(name + ".trx"));
    if (projectFailed == 0 && code != 0)
        projectFailed = 1; // The run broke off: what it had passed still counts, and so does that.
    if (projectPassed + projectFailed == 0 && filter == "")
    {
        Error("{0} ran no test.", name);
        projectFailed = 1;
    }
    Count(name, projectPassed, projectFailed);
}

(int Passed, int Failed) ReadTrx(FilePath file)
{
    if (!FileExists(file))
        return (0, 0);
    var counters = XDocument.Load(file.FullPath).Descendants().First(element => element.Name.LocalName == "Counters");
    int Value(string name) => (int)counters.Attribute(name);
    return (Value("passed"), Value("failed") + Value("error") + Value("timeout") + Value("aborted"));
}

// ---- all tests ----------------------------------------------------------------------------------------------------------

Task("test").IsDependentOn("build").Does(() =>
{
    Part("unit", UnitTests);
});

// ---- format -------------------------------------------------------------------------------------------------------------

Task("format").Does(() =>
{
    var check = HasArgument("check");
    var native = GetFiles("native/**/*.cc").Concat(GetFiles("native/**/*.h")).Select(file => file.FullPath).ToArray();
    if (native.Length > 0)
        Must("clang-format", (check ? new[] { "--dry-run", "--Werror" } : new[] { "-i" }).Concat(native).ToArray());
    Must("dotnet", check ? ["format", Solution, "--verify-no-changes"] : ["format", Solution]);
});

// ---- run ----------------------------------------------------------------------------------------------------------------

var exitCode = 0;
try
{
    RunTarget(target);
}
catch (Exception problem)
{
    Error(problem.Message);
    exitCode = 1;
    failed += target == "test" ? 1 : 0;
}

if (target == "test")
{
    Console.WriteLine($"{passed} passed, {failed} failed"); // The last line, for people and machines.
    exitCode = failed > 0 || passed == 0 ? 1 : 0;
}

Environment.Exit(exitCode);
