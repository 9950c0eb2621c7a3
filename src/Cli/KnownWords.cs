using System.CommandLine;

namespace RecoveryVfs.Cli;

/// <summary>The words that a command line may have.</summary>
internal static class KnownWords
{
    public static IEnumerable<string> Commands(Command root)
        => root.Subcommands.Where(c => !c.Hidden).Select(c => c.Name).Append("help");

    public static IEnumerable<string> Options(Command command) =>
        command.Options.Where(o => !o.Hidden).SelectMany(o => o.Aliases.Append(o.Name)).Distinct().Append("--help");
}
