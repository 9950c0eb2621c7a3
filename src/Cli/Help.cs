using System.CommandLine;

namespace RecoveryVfs.Cli;

/// <summary>Help that teaches: what a command is for, what it takes, and examples.</summary>
internal static class Help
{
    const int LabelColumns = 34;

    public static string NameOf(Command command) => command is RootCommand ? "recovery" : "recovery " + command.Name;

    public static void Write(Command command, TextWriter to)
    {
        to.WriteLine(Wrapped.Paragraphs(command.Description ?? ""));
        to.WriteLine();
        to.WriteLine("Usage: " + Usage(command));
        if (command is CliCommand { About.Length: > 0 } about)
        {
            to.WriteLine();
            to.WriteLine(Wrapped.Paragraphs(about.About));
        }
        Section(to, "Commands", command.Subcommands.Where(c => !c.Hidden).Select(c => (c.Name, c.Description)));
        Section(to, "Arguments", command.Arguments.Select(a => (a.Name, a.Description)));
        Section(to, "Options", command.Options.Where(o => !o.Hidden).Select(o => (LabelOf(o), o.Description))
            .Append(("-h, --help", "This.")));
        if (command is CliCommand known)
        {
            Section(to, "Examples", []);
            foreach (var example in known.Examples) to.WriteLine("  " + example);
            return;
        }
        to.WriteLine();
        to.WriteLine(Wrapped.Paragraphs("""
            URL is s3://bucket/prefix or file:///directory; where it may be left out, RECOVERY_REMOTE gives it.
            S3's credentials, region and endpoint come from the usual AWS_* variables and files (AWS_ENDPOINT_URL
            implies path style). DIR is the directory that holds the databases; the store is DIR/.recovery.
            """));
        to.WriteLine();
        to.WriteLine(ExitCode.Explained);
        to.WriteLine();
        to.WriteLine("`recovery COMMAND --help` says more, with examples.");
    }

    static string Usage(Command command)
    {
        if (command is RootCommand) return "recovery COMMAND [options]";
        var arguments = command.Arguments.Select(a => a.Arity.MinimumNumberOfValues > 0 ? a.Name : $"[{a.Name}]");
        return string.Join(' ', [NameOf(command), .. arguments, "[options]"]);
    }

    static string LabelOf(Option option)
    {
        var names = string.Join(", ", option.Aliases.Where(a => a != option.Name).Append(option.Name)
            .OrderBy(n => n.Length));
        if (option.ValueType == typeof(bool)) return names;
        return $"{names} {option.HelpName ?? option.Name.TrimStart('-').ToUpperInvariant()}";
    }

    static void Section(TextWriter to, string title, IEnumerable<(string Label, string? Text)> rows)
    {
        var all = rows.ToList();
        if (all.Count == 0 && title != "Examples") return;
        to.WriteLine();
        to.WriteLine(title + ":");
        var width = all.Count == 0 ? 0 : Math.Min(LabelColumns, all.Max(r => r.Label.Length));
        foreach (var (label, text) in all) to.WriteLine(Wrapped.Row(label, width, text));
    }
}
