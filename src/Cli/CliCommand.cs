using System.CommandLine;

namespace RecoveryVfs.Cli;

/// <summary>
/// One command: what it takes, how it is explained, and what it does. Every error becomes one message and an exit code.
/// </summary>
internal abstract class CliCommand : Command
{
    /// <summary>Also for errors: then they are JSON, too, on standard error.</summary>
    internal const string Json = "--json";

    readonly Option<bool> json =
        new(Json)
        {
            Description =
                "Print the result as JSON, and nothing else, to standard output; messages as JSON lines to standard "
                    + "error."
        };

    protected CliCommand(string name, string description) : base(name, description)
    {
        Options.Add(json);
        SetAction((parsed, cancellation) => GuardAsync(parsed, cancellation));
    }

    /// <summary>Paragraphs for the help.</summary>
    public string About { get; protected init; } = "";

    /// <summary>Command lines for the help.</summary>
    public string[] Examples { get; protected init; } = [];

    protected T With<T>(T symbol) where T : Symbol
    {
        if (symbol is Option option) Options.Add(option);
        else if (symbol is Argument argument) Arguments.Add(argument);
        return symbol;
    }

    /// <summary>What most commands look at.</summary>
    protected Argument<string?> WithPlace() => With(new Argument<string?>("URL|DIR")
    {
        Description = "A remote, or a store that has one (default: RECOVERY_REMOTE).",
        Arity = ArgumentArity.ZeroOrOne
    });

    /// <summary>Which of the databases that are there.</summary>
    protected Option<string?> WithDatabase(string description = "The database (needed when there are several).") =>
        With(new Option<string?>("--database") { HelpName = "NAME", Description = description });

    /// <summary>Whether the result is to be JSON.</summary>
    protected bool IsJson(ParseResult parsed) => parsed.GetValue(json);

    /// <summary>Does it; returns the exit code.</summary>
    protected abstract Task<int> RunAsync(ParseResult parsed, Output output, CancellationToken cancellation);

    async Task<int> GuardAsync(ParseResult parsed, CancellationToken cancellation)
    {
        var output = new Output(parsed.GetValue(json), Console.Out, Console.Error);
        try
        {
            return await RunAsync(parsed, output, cancellation);
        }
        catch (OperationCanceledException)
        {
            output.Error(new Failure(ExitCode.Failure, "Stopped. What was begun was removed."));
            return ExitCode.Failure;
        }
        catch (Exception e)
        {
            var failure = Failure.Of(e, "recovery");
            output.Error(failure);
            return failure.Code;
        }
    }
}
