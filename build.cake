// The build. Run through ./build.sh, which brings what this needs. One section a concern; a target at the end of each.
using System.Text.RegularExpressions;
using System.Xml.Linq;

var target = Argument("target", "build");
var jobs = Argument("jobs", Environment.ProcessorCount);

const string Solution = "RecoveryVfs.sln";
const string Configuration = "Release";

/// For which machine: this kind (x64), or arm64 by cross-compiling.
var arch = Argument("arch", "x64");
var runtime = $"linux-{arch}";
var isCross = arch != "x64";

/// What is passed to native/*.sh for another machine, and to dotnet.
var otherMachine = isCross ? new[] { arch } : [];
var machineProperty = isCross ? new[] { $"-p:Machine={arch}" } : [];

/// Where what a user installs is put together: another machine's beside this one's.
var dist = isCross ? $"dist/{runtime}" : "dist";

// ---- processes and totals -------------------------------------------------------------------------------------------

int passed = 0, failed = 0;

/// What failed, said again at the end, where it is found.
var failures = new List<string>();

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
        throw new CakeException(
            $"`{command} {string.Join(" ", arguments)}` failed with exit code {code}; its own message is above.");
}

void Count(string part, int partPassed, int partFailed)
{
    passed += partPassed;
    failed += partFailed;
    Console.WriteLine($"{part}: {partPassed} passed, {partFailed} failed");
}

/// A part of the tests that breaks off counts as one failure, and the parts after it still run.
void Part(string name, Action body)
{
    if (!Selected(name))
        return;
    Console.WriteLine($"== {name}");
    var started = DateTime.UtcNow;
    try
    {
        body();
    }
    catch (Exception problem)
    {
        Error("{0}: {1}", name, problem.Message);
        failures.Add($"{name}: {problem.Message}");
        Count(name, 0, 1);
    }
    Console.WriteLine($"== {name}: {(DateTime.UtcNow - started).TotalSeconds:0} s");
}

bool Selected(string part)
{
    var only = Argument("only", "");
    return only == "" || only.Split(',').Contains(part);
}

// ---- build ----------------------------------------------------------------------------------------------------------

/// What is not in the solution is neither built nor tested, and nobody would notice.
void RequireAllProjectsInSolution()
{
    var solution = System.IO.File.ReadAllText(Solution);
    foreach (var project in GetFiles("src/*/*.csproj").Concat(GetFiles("tests/*/*.csproj")))
        if (!solution.Contains(project.GetFilename() + "\""))
            throw new CakeException($"{project} is not in {Solution}: dotnet sln add {project}");
}

Task("build").Does(() =>
{
    RequireAllProjectsInSolution();
    Must("native/build.sh");
    Must("dotnet", "build", Solution, "-c", Configuration, "-v", "quiet", "--nologo", "-clp:NoSummary");
});

// ---- test projects --------------------------------------------------------------------------------------------------

static readonly FilePath DistProject = "tests/Dist.Tests/Dist.Tests.csproj";

IEnumerable<FilePath> UnitProjects() =>
    GetFiles("tests/*.Tests/*.csproj").Where(file => file.FullPath != MakeAbsolute(DistProject).FullPath)
        .OrderBy(file => file.FullPath);

void UnitTests()
{
    CleanDirectory("build/test-results");
    foreach (var project in UnitProjects())
        TestProject(project, TestsOfTest());
}

/// What dist/ holds, used from other languages and from an empty project.
void DistTests() => TestProject(DistProject, TestsOfTest());

/// All but the big ones and those of another machine, or what was asked for.
string TestsOfTest() => Argument("filter", "") is { Length: > 0 } asked ? asked : "Kind!=Big&Kind!=Arm64";

void TestProject(FilePath project, string filter, Dictionary<string, string> environment = null,
    bool mayBeEmpty = false)
{
    var results = Directory("build/test-results");
    var name = project.GetFilenameWithoutExtension().ToString();
    var trx = results.Path.CombineWithFilePath(name + ".trx");
    if (FileExists(trx))
        DeleteFile(trx);
    var code = RunWith(environment, "dotnet", "test", project.FullPath, "-c", Configuration, "--no-build", "--nologo",
        "--results-directory", results,
        "--logger", $"trx;LogFileName={name}.trx", "--logger", "console;verbosity=normal", "--filter", filter,
        "--blame-hang-timeout", "10m", "--blame-hang-dump-type", "none");
    var (projectPassed, projectFailed) = ReadTrx(trx);
    if (projectFailed == 0 && code != 0)
    {
        failures.Add($"{name}: the run broke off with exit code {code}."); // What it had passed still counts.
        projectFailed = 1;
    }
    if (projectPassed + projectFailed == 0 && !mayBeEmpty && !HasArgument("filter"))
    {
        failures.Add($"{name}: no test ran.");
        projectFailed = 1;
    }
    Count(name, projectPassed, projectFailed);
}

(int Passed, int Failed) ReadTrx(FilePath file)
{
    if (!FileExists(file))
        return (0, 0);
    var all = XDocument.Load(file.FullPath).Descendants().ToList();
    foreach (var result in all.Where(element => element.Name.LocalName == "UnitTestResult"
        && (string)element.Attribute("outcome") is not ("Passed" or "NotExecuted")))
        failures.Add((string)result.Attribute("testName") + "\n" + string.Concat(result.Descendants()
            .Where(element => element.Name.LocalName is "Message" or "StackTrace")
            .SelectMany(element => element.Value.Split('\n').Take(20)).Select(line => $"    {line}\n")).TrimEnd());
    var counters = all.First(element => element.Name.LocalName == "Counters");
    int Value(string name) => (int)counters.Attribute(name);
    return (Value("passed"), Value("failed") + Value("error") + Value("timeout") + Value("aborted"));
}

// ---- dist -----------------------------------------------------------------------------------------------------------

/// What a user installs: the loadable extension with all it needs beside it, ready to copy, and the NuGet packages.
void Dist()
{
    CleanDirectory(dist);
    PublishExtension();
    PublishPrograms();
    PublishForCpp();
    if (!isCross)
        MakePages();
    Pack();
    WriteBillOfMaterials();
    CopyLicences();
}

/// Ours, those of the libraries, and what Microsoft says of the .NET runtime that is compiled into the programs.
void CopyLicences()
{
    CopyFileToDirectory("LICENSE", dist);
    CopyFileToDirectory("THIRD-PARTY-NOTICES.md", dist);
    var compiler = LockedPackages()
        .First(package => (string)package["name"] == $"runtime.{runtime}.Microsoft.DotNet.ILCompiler");
    var packages = Ask("dotnet", "nuget", "locals", "global-packages", "--list").Split(": ", 2)[1].Trim();
    CopyFile($"{packages}/{compiler["name"].ToString().ToLowerInvariant()}/{compiler["version"]}"
        + "/THIRD-PARTY-NOTICES.TXT", $"{dist}/THIRD-PARTY-NOTICES.dotnet.txt");
}

void PublishExtension()
{
    Must("native/bundle.sh", [dist, .. otherMachine]);
    Publish("Extension", "recovery.so");
}

/// Any RocksDB of a C++ program: the library, its header, and what CMake's find_package reads.
void PublishForCpp()
{
    Publish("RocksDbEnv", "librecovery_rocksdb.so");
    EnsureDirectoryExists($"{dist}/include");
    CopyFileToDirectory("native/recovery_rocksdb.h", $"{dist}/include");
    var packages = $"{dist}/lib/cmake/RecoveryRocksDb";
    EnsureDirectoryExists(packages);
    CopyFileToDirectory("native/cmake/RecoveryRocksDbConfig.cmake", packages);
    var version = XmlPeek("Directory.Build.props", "//Version");
    System.IO.File.WriteAllText($"{packages}/RecoveryRocksDbConfigVersion.cmake",
        System.IO.File.ReadAllText("native/cmake/RecoveryRocksDbConfigVersion.cmake.in").Replace("@VERSION@", version)
            .Replace("@MAJOR@", version.Split('.')[0]).Replace("@MINOR@", version.Split('.')[1]));
}

/// The programs, compiled ahead of time: a native file each beside the native libraries, that needs no .NET and starts
/// in milliseconds.
void PublishPrograms()
{
    PublishCli();
    Publish("Tail", "recovery-tail");
}

/// The manual pages say what --help says.
void MakePages()
{
    EnsureDirectoryExists("dist/man/man1");
    Must("sh", "-c",
        "dist/recovery man > dist/man/man1/recovery.1 && dist/recovery-tail --help | dist/recovery man --of "
            + "recovery-tail > dist/man/man1/recovery-tail.1");
}

void PublishCli() => Publish("Cli", "recovery", "libe_sqlite3.so");

/// Compiles a project ahead of time and copies what is wanted of it to dist/.
void Publish(string project, params string[] files)
{
    Must("dotnet", ["publish", $"src/{project}", "-c", Configuration, "-r", runtime, "-v", "quiet", "--nologo",
        "-clp:NoSummary", .. machineProperty]);
    var output = isCross ? $"build/{arch}/bin/{project}" : $"src/{project}/bin";
    foreach (var file in files)
        CopyFileToDirectory($"{output}/{Configuration}/net10.0/{runtime}/publish/{file}", dist);
}

/// The native library and what it needs go into the package of the layer that calls it: for this machine, and for the
/// other one when that is what is built.
void Pack()
{
    var bundle = MakeAbsolute(Directory("build/bundle"));
    CleanDirectory(bundle);
    Must("native/bundle.sh", bundle.FullPath);
    // What an earlier run for another machine left is not for these packages.
    CleanDirectory($"{bundle}-arm64");
    DeleteDirectory($"{bundle}-arm64", new DeleteDirectorySettings());
    if (isCross)
        Must("native/bundle.sh", [$"{bundle}-{arch}", .. otherMachine]);
    foreach (var project in new[] { "RecoveryLog", "PageStore", "Rows", "Changes", "Vfs", "Replicate", "Hosting",
        "RocksDb" })
        Must("dotnet", "pack", $"src/{project}", "-c", Configuration, "-o", $"{dist}/packages", "-v", "quiet",
            "--nologo", "-clp:NoSummary",
            $"-p:NativeBundle={bundle.FullPath}");
}

/// What dist/ is made of, as CycloneDX: the packages that the lock files name, and the Debian packages whose libraries
/// are in the bundle.
void WriteBillOfMaterials()
{
    var components = LockedPackages().Concat(BundledLibraries())
        .OrderBy(c => c["purl"].ToString(), StringComparer.Ordinal);
    var bill = new Dictionary<string, object>
    {
        ["bomFormat"] = "CycloneDX",
        ["specVersion"] = "1.5",
        ["version"] = 1,
        ["metadata"] =
            new { component =
                new { type = "application", name = "RecoveryVfs",
                version = XmlPeek("Directory.Build.props", "//Version") } },
        ["components"] = components,
    };
    System.IO.File.WriteAllText($"{dist}/recovery.cdx.json",
        System.Text.Json.JsonSerializer.Serialize(bill,
        new System.Text.Json.JsonSerializerOptions { WriteIndented = true }));
}

IEnumerable<Dictionary<string, object>> LockedPackages() =>
    GetFiles(isCross ? $"src/*/packages.{arch}.lock.json" : "src/*/packages.lock.json")
        .SelectMany(file => System.Text.Json.JsonDocument.Parse(System.IO.File.ReadAllText(file.FullPath))
        .RootElement.GetProperty("dependencies").EnumerateObject())
        .SelectMany(framework => framework.Value.EnumerateObject())
        .Where(package => package.Value.TryGetProperty("contentHash", out _)) // Projects have none.
        .Select(package
        => (package.Name, Version: package.Value.GetProperty("resolved").GetString(),
            Hash: package.Value.GetProperty("contentHash").GetString()))
        .Distinct()
        .Select(package => Component(package.Name, package.Version, $"pkg:nuget/{package.Name}@{package.Version}",
            new { alg = "SHA-512", content = Convert.ToHexString(Convert.FromBase64String(package.Hash))
                .ToLowerInvariant() }));

IEnumerable<Dictionary<string, object>> BundledLibraries() =>
    GetFiles($"{dist}/lib*.so.*").Select(file => file.GetFilename().ToString()).Select(name =>
    {
        var package = Ask("dpkg-query", "-S", $"*/{name}").Split('\n')[0].Split(':')[0];
        var version = isCross
            ? UnpackedVersion(package)
            : Ask("dpkg-query", "-W", "-f=${Version}", package);
        return Component(package, version, $"pkg:deb/debian/{package}@{Uri.EscapeDataString(version)}",
            new { alg = "SHA-256",
                content = Convert.ToHexString(
                System.Security.Cryptography.SHA256.HashData(System.IO.File.ReadAllBytes($"{dist}/{name}")))
                .ToLowerInvariant() });
    });

/// Of another machine's library: native/root.sh has written down what it unpacked.
string UnpackedVersion(string package) => System.IO.File.ReadLines($"build/root-{arch}/packages")
    .Select(line => line.Split(' ')).First(line => line[0] == package)[1];

Dictionary<string, object> Component(string name, string version, string purl, object hash) => new()
{
    ["type"] = "library",
    ["name"] = name,
    ["version"] = version,
    ["purl"] = purl,
    ["hashes"] = new[] { hash },
};

/// What a command prints.
string Ask(string command, params string[] arguments)
{
    var list = new ProcessArgumentBuilder();
    foreach (var argument in arguments)
        list.AppendQuoted(argument);
    var code = StartProcess(command, new ProcessSettings { Arguments = list, RedirectStandardOutput = true },
        out var output);
    return code == 0
        ? string.Join("\n", output)
        : throw new CakeException($"`{command} {string.Join(" ", arguments)}` failed with exit code {code}.");
}

/// Another machine's is built besides; its tests run what was built here, under qemu.
Task("dist").IsDependentOn("build").Does(() =>
{
    Dist();
    if (isCross)
        TestProject(DistProject, "Kind=Arm64");
});

// ---- demo -----------------------------------------------------------------------------------------------------------

/// Kills a writer, loses the machine, restores: with the program itself, on what it does without any configuration.
/// Compiling it ahead of time is most of the wait (a minute on two cores), but what is shown so is what is installed,
/// restored and all.
Task("demo").Does(() =>
{
    Must("native/build.sh");
    Must("native/bundle.sh", "dist");
    PublishCli();
    Must("dist/recovery", "demo", "build/demo");
});

// ---- SQLite's own suite ---------------------------------------------------------------------------------------------

void Suite(bool fast)
{
    const string Totals = "build/sqlite/results/totals.json";
    if (FileExists(Totals))
        DeleteFile(Totals);
    Must("tests/sqlite-suite/build-programs.sh");
    var arguments = new List<string> { "tests/sqlite-suite/run.py", "--extension=dist/recovery.so", $"--jobs={jobs}" };
    arguments.Add("--setting=" + Argument("setting", "all"));
    arguments.Add("--files=" + Argument("files", "*"));
    if (fast)
        arguments.Add("--fast");
    Run("python3", arguments.ToArray());
    if (!FileExists(Totals))
        throw new CakeException("SQLite's suite broke off; its own message is above.");
    var totals = System.Text.Json.JsonDocument.Parse(System.IO.File.ReadAllText(Totals)).RootElement;
    Count("suite (files)", totals.GetProperty("passed").GetInt32(), totals.GetProperty("failed").GetInt32());
    if (!HasArgument("files"))
        BesideReplicator("");
}

/// SQLite's tests on stock SQLite, with a replicator beside their databases: the usual files, or those of a pattern.
void BesideReplicator(string files)
{
    const string Totals = "build/sqlite/beside.json";
    if (FileExists(Totals))
        DeleteFile(Totals);
    Must("tests/sqlite-suite/build-programs.sh");
    Run("python3", "tests/sqlite-suite/beside.py", "--recovery=dist/recovery", $"--jobs={jobs}", "--files=" + files);
    if (!FileExists(Totals))
        throw new CakeException("SQLite's tests beside a replicator broke off; the message is above.");
    var totals = System.Text.Json.JsonDocument.Parse(System.IO.File.ReadAllText(Totals)).RootElement;
    Count("suite beside a replicator (files)", totals.GetProperty("passed").GetInt32(),
        totals.GetProperty("failed").GetInt32());
}

Task("suite").IsDependentOn("dist").Does(() => Suite(HasArgument("fast")));

// ---- all tests ------------------------------------------------------------------------------------------------------

Task("test").IsDependentOn("build").Does(() =>
{
    Part("format", () =>
    {
        Format(check: true);
        Count("format", 1, 0);
    });
    Part("unit", UnitTests);
    if (Selected("dist") || Selected("suite"))
        Dist();
    Part("dist", DistTests);
    Part("suite", () => Suite(fast: true));
});

// ---- soak -----------------------------------------------------------------------------------------------------------

/// For long: the tests that are too big for `test`, once, then the random tests of every project in rounds, with fresh
/// seeds each, until the time is up. A failing test names its seed; what ran when a process died stands at the end of
/// build/soak/seeds.log.
void Soak(int minutes)
{
    var seconds = Argument("seconds", Math.Clamp(minutes, 2, 15)); // a random test and round
    var end = DateTime.UtcNow.AddMinutes(minutes);
    CleanDirectory("build/soak");
    var soaking = new Dictionary<string, string>
    {
        ["RECOVERY_SOAK_SECONDS"] = seconds.ToString(),
        ["RECOVERY_SOAK_LOG"] = MakeAbsolute(File("build/soak/seeds.log")).FullPath,
    };
    var projects = UnitProjects().Append(DistProject).Where(project => SoakSelected(project)).ToList();
    foreach (var project in SoakSelected("big") ? UnitProjects().Append(DistProject) : [])
        TestProject(project, "Kind=Big", mayBeEmpty: true);
    if (SoakSelected("big"))
        BesideReplicator("w*");
    // What is fuzzed has the memory that a reader of hostile bytes may take.
    var limited = new Dictionary<string, string>(soaking) { ["DOTNET_GCHeapHardLimit"] = "0x10000000" };
    for (var round = 1; projects.Count > 0 && (round == 1 || DateTime.UtcNow < end); round++)
    {
        Console.WriteLine(
            $"== soak: round {round}, {seconds} s a test, {Math.Max(0, (end - DateTime.UtcNow).TotalMinutes):0} "
                + $"minutes left; {passed} passed, {failed} failed so far");
        foreach (var project in projects)
            if (round == 1 || DateTime.UtcNow < end)
            {
                var asked = Argument("filter", "") is { Length: > 0 } filter ? $"&({filter})" : "";
                TestProject(project, "Kind=Random&FullyQualifiedName!~Fuzz" + asked, soaking, mayBeEmpty: true);
                TestProject(project, "Kind=Random&FullyQualifiedName~Fuzz" + asked, limited, mayBeEmpty: true);
            }
    }
}

/// --only names parts of project names (Vfs, PageStore...), and `big`.
bool SoakSelected(object part) => Argument("only", "") is var only
    && (only == "" || only.Split(',').Any(one => part.ToString().Contains(one, StringComparison.OrdinalIgnoreCase)));

Task("soak").IsDependentOn("dist").Does(() => Soak(Argument("minutes", 30)));

// ---- bench ----------------------------------------------------------------------------------------------------------

Task("bench").Does(() =>
{
    Must("native/build.sh");
    Must("dotnet", "build", "bench", "-c", Configuration, "-v", "quiet", "--nologo", "-clp:NoSummary");
    var arguments = new List<string>();
    if (HasArgument("quick"))
        arguments.Add("--quick");
    if (HasArgument("only"))
        arguments.Add("--only=" + Argument<string>("only"));
    bool Wants(params string[] rows) => !HasArgument("only") || rows.Any(Argument<string>("only").Contains);
    // SQLite's own programs run through the extension.
    if (Wants("speedtest1", "kvtest"))
    {
        Must("tests/sqlite-suite/build-programs.sh");
        PublishExtension();
    }
    // Restoring is measured as users restore.
    if (Wants("remote-restore", "remote-memory", "replicate", "rows-export", "rows-import")
        || Argument("only", "") == "remote")
    {
        Must("native/bundle.sh", "dist");
        PublishCli();
    }
    Must("bench/bin/" + Configuration + "/net10.0/bench", arguments.ToArray());
});

// ---- format ---------------------------------------------------------------------------------------------------------

void Format(bool check)
{
    var native = GetFiles("native/**/*.cc").Concat(GetFiles("native/**/*.h")).Select(file => file.FullPath).ToArray();
    Must("clang-format", (check ? new[] { "--dry-run", "--Werror" } : new[] { "-i" }).Concat(native).ToArray());
    Must("dotnet", check ? ["format", Solution, "--verify-no-changes", "--no-restore"] : ["format", Solution]);
    if (check)
        RequireNarrow();
}

Task("format").Does(() => Format(HasArgument("check")));

/// Code and documents are read side by side: 120 columns. Tables and drawings, code blocks of documents, lines that are
/// one long link, and text in raw strings (help, SQL, other languages' programs) may be wider.
void RequireNarrow()
{
    const int Columns = 120;
    var drawing = new System.Text.RegularExpressions.Regex(@"^\s*///? *\S.*(   |\|.*\||--\+--)");
    var wide = new List<string>();
    foreach (var file in Ask("git", "ls-files", "*.md", "*.cs", "*.cake")
        .Split('\n', StringSplitOptions.RemoveEmptyEntries))
    {
        var isDocument = file.EndsWith(".md");
        var fence = isDocument ? "```" : "\"\"\"";
        var isInside = false;
        var number = 0;
        foreach (var line in System.IO.File.ReadLines(file))
        {
            number++;
            var hasFence = isDocument ? line.TrimStart().StartsWith(fence) : line.Contains(fence);
            var isFree = isInside || hasFence || (isDocument
                ? line.StartsWith('|') || !line.Trim().Contains(' ')
                : drawing.IsMatch(line));
            isInside ^= hasFence && (isDocument || line.Split(fence).Length % 2 == 0);
            if (!isFree && line.Length > Columns)
                wide.Add($"{file}:{number}: {line.Length} columns");
        }
    }
    if (wide.Count > 0)
        throw new CakeException($"Wider than {Columns} columns:\n{string.Join("\n", wide)}");
}

// ---- run ------------------------------------------------------------------------------------------------------------

var exitCode = 0;
try
{
    RunTarget(target);
}
catch (Exception problem)
{
    Error(problem.Message);
    exitCode = 1;
    failed += target is "test" or "suite" or "soak" ? 1 : 0;
}

if (target is "test" or "suite" or "soak" || isCross)
{
    foreach (var failure in failures)
        Console.WriteLine("failed: " + failure);
    Console.WriteLine($"{passed} passed, {failed} failed"); // The last line, for people and machines.
    exitCode = failed > 0 || passed == 0 ? 1 : 0;
}

Environment.Exit(exitCode);
