using System.Runtime.InteropServices;
using RecoveryVfs.PageStore.Tails;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.Tail;

/// <summary>The program <c>recovery-tail</c>.</summary>
static partial class Program
{
    const int ArenaMax = -8;

    [LibraryImport("libc")]
    private static partial int mallopt(int parameter, int value);

    static async Task<int> Main(string[] args)
    {
        // Pages come and go on many threads, and in an arena for each of them malloc would keep several times what is
        // in use.
        _ = mallopt(ArenaMax, 2);
        using var stop = new CancellationTokenSource();
        void OnSignal(PosixSignalContext context)
        {
            context.Cancel = true;
            stop.Cancel();
        }
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
        using var hangup = PosixSignalRegistration.Create(PosixSignal.SIGHUP, OnSignal);
        using var output = StandardStream.Output();
        return await RunAsync(args, Console.OpenStandardInput(), output, StandardStream.Errors(), stop.Token);
    }

    /// <summary>The whole program but for its signals.</summary>
    internal static async Task<int> RunAsync(string[] args, Stream input, Stream output, TextWriter errors,
        CancellationToken stop)
    {
        try
        {
            var arguments = Arguments.Parse(args);
            if (arguments.Help || arguments.Version)
            {
                using var text = new StreamWriter(output, leaveOpen: true);
                text.WriteLine(arguments.Help ? Arguments.HelpText : "recovery-tail " + typeof(Program)
                    .Assembly.GetName().Version!.ToString(3));
                return ExitCode.Ok;
            }
            if (arguments.Rows) return await RowStreaming.RunAsync(arguments, input, output, errors, stop);
            return arguments.Into is null
                ? await ShowAsync(arguments, output, errors, stop)
                : await Following.RunAsync(arguments, output, errors, stop);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return ExitCode.Ok;
        }
        catch (IOException e) when (IsClosedPipe(e))
        {
            // Who read our lines has seen enough.
            return ExitCode.Ok;
        }
        catch (Exception e)
        {
            var failure = Failure.Of(e, "recovery-tail");
            errors.WriteLine(args.Contains("--json") ? failure.ToJson() : "recovery-tail: "
                + Printable.Escape(failure.Message));
            return failure.Code;
        }
    }

    static async Task<int> ShowAsync(Arguments arguments, Stream output, TextWriter errors, CancellationToken stop)
    {
        await using var objects = RemoteUrl.Parse(arguments.Url).Open(readOnly: true);
        var tail = new RemoteTail(new RemoteContext { Store = objects }, new RemoteTailOptions
        {
            From = arguments.From,
            Once = arguments.Once,
            Interval = arguments.Interval,
            WithPages = false,
            Interrupted = trouble
                => errors.WriteLine(
                    "recovery-tail: "
                        + (trouble is null ? "the remote can be reached again." : trouble.Message + " Trying on.")),
        });
        if (await tail.IsOfRocksDbAsync(stop))
        {
            if (arguments.Databases != "*")
                throw new RecoveryException(RecoveryError.Invalid,
                    $"{arguments.Url} holds the files of a RocksDB: there is no --database to choose.");
            if (arguments.Keys)
            {
                var batches = new BatchLines(output, arguments.Json, arguments.Values);
                await foreach (var batch in tail.ReadBatchesAsync(stop)) batches.Write(batch);
                return ExitCode.Ok;
            }
            var files = new FileLines(output, arguments.Json);
            await foreach (var change in tail.ReadFilesAsync(stop)) files.Write(change);
            return ExitCode.Ok;
        }
        if (arguments.Keys)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{arguments.Url} holds SQLite databases, which have no keys to show.",
                "--rows shows the rows that commits changed.");
        var lines = new CommitLines(output, arguments.Json, arguments.Databases, TimeProvider.System);
        await foreach (var commit in tail.ReadAsync(stop)) lines.Write(commit);
        return ExitCode.Ok;
    }

    const int ClosedPipe = 32;

    // .NET hands EPIPE on as the HResult of the IOException.
    static bool IsClosedPipe(IOException e) => (e.HResult & 0xffff) == ClosedPipe
        || e.Message.Contains("Broken pipe", StringComparison.Ordinal);
}
