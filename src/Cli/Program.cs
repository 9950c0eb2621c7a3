using System.CommandLine;
using System.CommandLine.Parsing;
using System.Text.RegularExpressions;
using RecoveryVfs.Cli.Commands;
using RecoveryVfs.Operations;

namespace RecoveryVfs.Cli;

/// <summary>
/// The program <c>recovery</c>: what people and scripts do with stores and their remotes. Each command is a file in
/// Commands/.
/// </summary>
internal static partial class Program
{
    // A restore that is told to stop removes what it has begun.
    static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(10);

    static async Task<int> Main(string[] arguments)
    {
        RemoteAccess.TakeFromEnvironment();
        var root = Root();
        if (arguments is ["help", ..]) arguments = [.. arguments[1..], "--help"];
        var parsed = root.Parse(arguments);
        if (arguments.TakeWhile(a => a != "--").Any(a => a is "--help" or "-h" or "-?"))
        {
            Help.Write(parsed.CommandResult.Command, Console.Out);
            return ExitCode.Ok;
        }
        if (arguments.Length == 0)
        {
            Help.Write(root, Console.Error);
            return ExitCode.Usage;
        }
        var problems = Problems(parsed, arguments);
        if (problems.Count > 0)
        {
            var json = arguments.TakeWhile(a => a != "--").Contains(CliCommand.Json);
            var output = new Output(json, Console.Out, Console.Error);
            // Whoever reads JSON reads one object, and gets all that is wrong in it.
            foreach (var error in json ? [string.Join(' ', problems)] : problems)
                output.Error(new Failure(ExitCode.Usage, error));
            if (!json) output.Note($"See `{Help.NameOf(parsed.CommandResult.Command)} --help`.");
            return ExitCode.Usage;
        }
        // A replicator passes signals on, and ships what is left before it ends.
        return await parsed.InvokeAsync(
            new InvocationConfiguration
            {
                ProcessTerminationTimeout = parsed.CommandResult.Command
            is ReplicateCommand ? null : StopPatience
            });
    }

    /// <summary>What is wrong with the arguments, without the names of .NET's types.</summary>
    static List<string> Problems(ParseResult parsed, string[] arguments)
    {
        var all = parsed.Errors.Select(Explained).ToList();
        var command = parsed.CommandResult.Command;
        foreach (var word in parsed.UnmatchedTokens)
        {
            var at = all.IndexOf($"Unrecognized command or argument '{word}'.");
            if (at < 0) continue;
            // What follows a mistyped word was meant for what it should have been.
            if (all.Exists(m => m.StartsWith("There is no command", StringComparison.Ordinal))) all[at] = "";
            else all[at] = command is RootCommand
                ? $"There is no command '{word}'.{Suggestions.For(word, KnownWords.Commands(command))}"
                : word.StartsWith('-') ? UnknownOption(word, command)
                : $"'{word}' is one argument too many.";
        }
        // A word that is no command is reported twice.
        if (all.Count > 1) all.RemoveAll(m => m.StartsWith("Required command", StringComparison.Ordinal));
        // A mistyped option would pass as an argument; behind `--` anything may.
        var options = arguments.TakeWhile(a => a != "--").ToHashSet();
        all.AddRange(parsed.CommandResult.Children.OfType<ArgumentResult>().SelectMany(a => a.Tokens)
            .Select(t => t.Value)
            .Where(v => v.Length > 1 && v[0] == '-' && options.Contains(v)).Select(v => UnknownOption(v, command)));
        if (all.Exists(m => m.StartsWith("There is no option", StringComparison.Ordinal)))
            all.RemoveAll(m => m.EndsWith("one argument too many.", StringComparison.Ordinal));
        all.RemoveAll(m => m.Length == 0);
        return all;
    }

    static string UnknownOption(string word, Command command)
    {
        var name = word.Split('=')[0];
        return $"There is no option '{name}' of "
            + $"{Help.NameOf(command)}.{Suggestions.For(name, KnownWords.Options(command))}";
    }

    /// <summary>The message without the names of .NET's types, and with what the option takes.</summary>
    static string Explained(ParseError error)
    {
        if (NotParsed().Match(error.Message) is not { Success: true } match) return error.Message;
        var of = error.SymbolResult switch
        {
            OptionResult option => $"{option.Option.Name}: it takes {option.Option.HelpName ?? "a value"}",
            ArgumentResult argument => argument.Argument.Name,
            _ => match.Groups[2].Value,
        };
        return $"'{match.Groups[1].Value}' cannot be the value of {of}.";
    }

    [GeneratedRegex("^Cannot parse argument '(.*?)' (?:for \\w+ '([^']*)' )?as expected type .*$",
        RegexOptions.Singleline)]
    private static partial Regex NotParsed();

    static RootCommand Root()
    {
        var root = new RootCommand("Restores, inspects and cares for RecoveryVfs stores and their remotes.")
        {
            new RestoreCommand(), new StatusCommand(), new DatabasesCommand(), new LogCommand(), new HintsCommand(),
                new VerifyCommand(),
            new SyncCommand(), new RemoteCommand(), new SnapshotCommand(), new GcCommand(), new SalvageCommand(),
            new SqlCommand(), new ImportCommand(), new ExportCommand(), new DeleteCommand(), new UndeleteCommand(),
                new PromoteCommand(), new AdoptCommand(), new DemoCommand(),
            new ReplicateCommand(), new DiffCommand(), new HistoryCommand(), new AtCommand(),
            new BranchCommand(), new BranchesCommand(), new BookmarkCommand(),
            new RollbackCommand(), new RollbacksCommand(),
            new CheckCommand(), new DoctorCommand(), new CompletionCommand(), new ManCommand(),
        };
        foreach (var help in root.Options.Where(o => o.Name == "--help").ToList()) root.Options.Remove(help);
        return root;
    }
}
