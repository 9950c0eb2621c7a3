using System.CommandLine;
using System.Text;

namespace RecoveryVfs.Cli;

/// <summary>The manual page, made of what --help says.</summary>
internal static class ManPage
{
    /// <summary>recovery(1), with all of its commands.</summary>
    public static string Of(Command root, string version)
    {
        var text = new StringBuilder(
            $".TH RECOVERY 1 \"\" \"recovery {version}\"\n.SH NAME\nrecovery \\- {Escaped(root.Description!)}\n.SH "
                + "SYNOPSIS\n.B recovery\n.I COMMAND\n[options]\n.SH COMMANDS\n");
        foreach (var command in root.Subcommands.Where(c => !c.Hidden))
        {
            text.Append($".SS {command.Name}\n");
            using var help = new StringWriter();
            Help.Write(command, help);
            text.Append(Verbatim(help.ToString()));
        }
        text.Append(".SH EXIT STATUS\n");
        foreach (var (code, _, meaning) in ExitCode.All) text.Append($".TP\n.B {code}\n{Escaped(meaning)}\n");
        return text.Append(".SH SEE ALSO\n.BR recovery\\-tail (1)\n").ToString();
    }

    /// <summary>A page of a program whose help is given as it prints it.</summary>
    public static string Of(string program, string summary, string help) =>
        $".TH {program.ToUpperInvariant()} 1\n.SH NAME\n{Escaped(program)} \\- {Escaped(summary)}\n.SH "
            + $"DESCRIPTION\n{Verbatim(help)}.SH SEE ALSO\n.BR recovery (1)\n";

    static string Verbatim(string text)
        => ".nf\n" + string.Concat(text.TrimEnd().Split('\n').Select(line => Escaped(line) + "\n")) + ".fi\n";

    /// <summary>What roff would take for its own.</summary>
    static string Escaped(string line)
    {
        var escaped = line.Replace("\\", "\\e").Replace("-", "\\-");
        return escaped.StartsWith('.') || escaped.StartsWith('\'') ? "\\&" + escaped : escaped;
    }
}
