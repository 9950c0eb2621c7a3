using System.CommandLine;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Prints what a shell needs to complete this program's commands and options.</summary>
internal sealed class CompletionCommand : CliCommand
{
    readonly Argument<string> shell;

    public CompletionCommand()
        : base("completion", "Print a script that completes commands and options in bash, zsh or fish.")
    {
        shell = Needed("SHELL", "bash, zsh or fish.");
        About = "Add to ~/.bashrc: source <(recovery completion bash); to ~/.zshrc, after compinit: source "
            + "<(recovery completion zsh);\nor write it once: recovery completion fish > "
            + "~/.config/fish/completions/recovery.fish.";
        Examples = ["recovery completion bash", "recovery completion fish > ~/.config/fish/completions/recovery.fish"];
    }

    protected override Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var root = parsed.RootCommandResult.Command;
        Console.Out.Write(parsed.GetValue(shell) switch
        {
            "bash" => CompletionScript.Bash(root),
            "zsh" => CompletionScript.Zsh(root),
            "fish" => CompletionScript.Fish(root),
            var other => throw new RecoveryLog.RecoveryException(RecoveryLog.RecoveryError.Invalid,
                $"There is no completion for '{other}'. Give bash, zsh or fish."),
        });
        return Task.FromResult(ExitCode.Ok);
    }
}
