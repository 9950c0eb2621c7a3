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

    /// <summary>An argument that must be given.</summary>
    protected Argument<string> Needed(string name, string description) =>
        With(new Argument<string>(name) { Description = description });

    /// <summary>An argument that may be left out.</summary>
    protected Argument<string?> Optional(string name, string description) =>
        With(new Argument<string?>(name) { Description = description, Arity = ArgumentArity.ZeroOrOne });

    /// <summary>An option that is given or not.</summary>
    protected Option<bool> Flag(string name, string description) =>
        With(new Option<bool>(name) { Description = description });

    /// <summary>An option with a value; <paramref name="value"/> is what the help calls it.</summary>
    protected Option<T> Taking<T>(string name, string value, string description, params string[] aliases) =>
        With(new Option<T>(name, aliases) { HelpName = value, Description = description });

    /// <summary>An option with a value, which is <paramref name="usual"/> unless it is given.</summary>
    protected Option<T> Usually<T>(string name, string value, T usual, string description, params string[] aliases)
    {
        var option = Taking<T>(name, value, description, aliases);
        option.DefaultValueFactory = _ => usual;
        return option;
    }

    /// <summary>What most commands look at.</summary>
    protected Argument<string?> WithPlace() =>
        Optional("URL|DIR", "A remote, or a store that has one (default: RECOVERY_REMOTE).");

    /// <summary>Which of the databases that are there.</summary>
    protected Option<string?> WithDatabase(string description = "The database (needed when there are several).") =>
        Taking<string?>("--database", "NAME", description);

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
