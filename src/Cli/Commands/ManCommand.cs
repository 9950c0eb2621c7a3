using System.CommandLine;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Prints the manual page; `./build.sh dist` writes it to dist/man.</summary>
internal sealed class ManCommand : CliCommand
{
    readonly Option<string?> of;

    public ManCommand() : base("man", "Print the manual page, in roff.")
    {
        Hidden = true;
        of = Taking<string?>("--of", "PROGRAM", "The page of another program, whose --help comes on standard input.");
        Examples = ["recovery man | man -l -", "recovery-tail --help | recovery man --of recovery-tail"];
    }

    protected override Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        Console.Out.Write(parsed.GetValue(of) is { } program
            ? ManPage.Of(program, "shows and follows the commits of a remote", Console.In.ReadToEnd())
            : ManPage.Of(parsed.RootCommandResult.Command, typeof(ManCommand).Assembly.GetName().Version!.ToString(3)));
        return Task.FromResult(ExitCode.Ok);
    }
}
