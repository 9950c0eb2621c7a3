using System.Text;
using System.Text.Json;
using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.PageStore.FollowedDirectories;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Watch;

namespace RecoveryVfs.Tail;

/// <summary><c>--into DIR</c>: keeps a follower there, once or until it is stopped, or promotes it.</summary>
static class Following
{
    public static async Task<int> RunAsync(Arguments arguments, Stream output, TextWriter errors,
        CancellationToken stop)
    {
        var directory = StoreOf(arguments.Into!);
        if (File.Exists(Path.GetFullPath(arguments.Into!)))
            throw new RecoveryException(RecoveryError.Invalid, $"{Path.GetFullPath(arguments.Into!)} is a file.",
                "--into takes a directory.")
            { Path = Path.GetFullPath(arguments.Into!) };
        using var lines = new StreamWriter(output, leaveOpen: true) { AutoFlush = true };
        var options = new FollowerOptions
        {
            Url = arguments.Url,
            Store = new StoreOptions { Directory = directory },
            Interval = arguments.Interval,
            Fetch = arguments.Fetch ?? FetchMode.All,
        };
        if (!await IsOfRocksDbAsync(options, stop))
        {
            await using var databases = await Follower.StartAsync(options, stop);
            return await FollowAsync(databases.Running, arguments, directory, lines, errors, stop);
        }
        if (arguments.Fetch is not null)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{arguments.Url} holds the files of a RocksDB, which are fetched before they are read.",
                "Leave --fetch and --lazy out.");
        await using var files = await DirectoryFollower.StartAsync(options, stop);
        return await FollowAsync(files.Running, arguments, DirectoryFollower.DirectoryOf(options.Store.Home), lines,
            errors, stop);
    }

    /// <summary>What is followed: the directory knows, or, a new one, the remote.</summary>
    static async Task<bool> IsOfRocksDbAsync(FollowerOptions options, CancellationToken stop)
    {
        if (options.Store.Home is { IsReplica: true } home) return home.IsOfRocksDb;
        await using var objects = RemoteUrl.Parse(options.Url).Open(readOnly: true);
        var context = new RemoteContext { Store = objects };
        var store = await context.RetryAsync(token => StoreObject.FetchAsync(objects, token), stop);
        return store?.Holds == StoreObject.RocksDb;
    }

    static async Task<int> FollowAsync(RunningFollower follower, Arguments arguments, string directory,
        StreamWriter lines, TextWriter errors, CancellationToken stop)
    {
        using var health = arguments.Listen is { } address
            ? HealthServer.Start(address, () => FollowerHealth.Of(follower.State))
            : null;
        if (arguments.Promote) return await PromoteAsync(follower, arguments, directory, lines, stop);
        if (arguments.Once)
        {
            await CatchUpAsync(follower, stop);
            if (arguments.Fetch != FetchMode.Lazy && follower.Replica.Current is { } replica)
                await replica.FetchRestAsync(stop);
            Say(lines, arguments, "caught-up", follower.State.Lsn, directory,
                $"caught up at LSN {follower.State.Lsn} in {directory}");
            return ExitCode.Ok;
        }
        var reporting = ReportAsync(follower, arguments, errors, stop);
        await follower.ReadableAsync(AnswerPatience, stop);
        if (follower.State is { Phase: FollowerPhase.Interrupted or FollowerPhase.Connecting } state)
            Say(lines, arguments, "interrupted", state.Lsn, directory,
                $"at LSN {state.Lsn} in {directory}, {state.Lag.TotalSeconds:0} s behind at most: the remote cannot "
                    + "be reached");
        else Say(lines, arguments, "caught-up", follower.State.Lsn, directory,
            $"caught up at LSN {follower.State.Lsn} in {directory}");
        if (arguments.Exec.Count > 0) return await Companion.RunAsync(arguments.Exec, stop);
        await reporting;
        return ExitCode.Ok;
    }

    // A remote that does not answer for so long is taken to be away: what is there must do.
    static readonly TimeSpan AnswerPatience = TimeSpan.FromSeconds(5);

    /// <summary>Waits until it has everything; an error that passes is one here, too.</summary>
    static async Task CatchUpAsync(RunningFollower follower, CancellationToken stop)
    {
        var caughtUp = follower.CaughtUpAsync(stop);
        var interrupted = follower.WhenAsync(s => s.Phase == FollowerPhase.Interrupted, stop);
        if (await Task.WhenAny(caughtUp, interrupted) == interrupted && interrupted.IsCompletedSuccessfully
            && follower.State.LastError is { } error)
            throw error.Again();
        await caughtUp;
    }

    /// <summary>The store of a directory: <c>.recovery</c> in it, unless that is what was named.</summary>
    internal static string StoreOf(string directory) => StoreHome.Within(directory);

    static async Task<int> PromoteAsync(RunningFollower follower, Arguments arguments, string directory,
        StreamWriter lines, CancellationToken stop)
    {
        var promotion = await follower.PromoteAsync(stop);
        if (arguments.Json)
        {
            Say(lines, arguments, "promoted", promotion.Lsn, directory, "", promotion.Epoch);
            return ExitCode.Ok;
        }
        lines.WriteLine($"promoted at LSN {promotion.Lsn}, epoch {promotion.Epoch}: {directory} is the writer now");
        lines.WriteLine($"the old writer ({promotion.EarlierAuthor:x16}) had shipped up to LSN {promotion.Lsn}"
            + (promotion.LastTime is { } time ? $", of {TimeText.Show(time)}" : "")
            + "; what it committed later, without durability=remote, is in its own directory only"
            + (new StoreHome(StoreOf(directory)).IsOfRocksDb ? "" : " (recovery salvage)"));
        return ExitCode.Ok;
    }

    /// <summary>Says on standard error when something goes wrong, and when it goes right again.</summary>
    static async Task ReportAsync(RunningFollower follower, Arguments arguments, TextWriter errors,
        CancellationToken stop)
    {
        while (true)
        {
            await follower.WhenAsync(s => s.LastError is not null, stop);
            Say(errors, arguments, "error", follower.State.Lsn, null,
                $"recovery-tail: {follower.State.LastError?.Message} Trying on.",
                message: follower.State.LastError?.Message);
            await follower.WhenAsync(s => s.LastError is null, stop);
            Say(errors, arguments, "following", follower.State.Lsn, null,
                $"recovery-tail: following again, at LSN {follower.State.Lsn}.");
        }
    }

    /// <summary>An event: as a line for people, or as one JSON object.</summary>
    static void Say(TextWriter to, Arguments arguments, string name, ulong lsn, string? directory, string forPeople,
        ulong? epoch = null, string? message = null)
    {
        if (!arguments.Json)
        {
            to.WriteLine(Printable.Escape(forPeople));
            return;
        }
        using var bytes = new MemoryStream();
        using (var json = new Utf8JsonWriter(bytes))
        {
            json.WriteStartObject();
            json.WriteString("event", name);
            json.WriteNumber("lsn", lsn);
            if (directory is not null) json.WriteString("store", directory);
            if (epoch is { } number) json.WriteNumber("epoch", number);
            if (message is not null) json.WriteString("message", message);
            json.WriteEndObject();
        }
        to.WriteLine(Encoding.UTF8.GetString(bytes.ToArray()));
    }
}
