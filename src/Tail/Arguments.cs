using RecoveryVfs.Changes;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Tails;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Objects;

namespace RecoveryVfs.Tail;

/// <summary>How rows are written.</summary>
enum RowFormat
{
    /// <summary>Ours: values as they are, told apart.</summary>
    Json,
    /// <summary>Debezium's envelope, with keys and tombstones.</summary>
    Debezium,
}

/// <summary>What the command line says.</summary>
sealed record Arguments
{
    public string Url { get; init; } = "";
    public TailStart From { get; init; } = TailStart.Now;
    public bool FromGiven { get; init; }
    public string Databases { get; init; } = "*";
    public bool Once { get; init; }
    public bool Json { get; init; }
    public TimeSpan Interval { get; init; } = TimeSpan.FromSeconds(1);
    public string? Into { get; init; }
    public bool Promote { get; init; }
    public FetchMode? Fetch { get; init; }
    public bool Rows { get; init; }
    public bool Keys { get; init; }
    public bool Values { get; init; }
    public string Tables { get; init; } = "*";
    public string? Cursor { get; init; }
    public TimeSpan CursorExpiry { get; init; } = TimeSpan.FromDays(7);
    public bool Acknowledged { get; init; }
    public RowFormat Format { get; init; }
    public RowSnapshot Snapshot { get; init; }
    public bool Help { get; init; }
    public bool Version { get; init; }

    /// <summary>A program with its arguments to run beside the follower.</summary>
    public IReadOnlyList<string> Exec { get; init; } = [];

    /// <summary>Where to answer health checks: <c>127.0.0.1:9090</c>.</summary>
    public string? Listen { get; init; }

    /// <summary>Reads a command line. Throws Invalid with what is wrong and what to write instead.</summary>
    public static Arguments Parse(IReadOnlyList<string> given)
    {
        var parsed = new Arguments();
        for (var i = 0; i < given.Count; i++)
        {
            var (name, inline) = Split(given[i]);
            string Value() => inline ?? (++i < given.Count ? given[i] : throw Wrong($"{name} needs a value."));
            parsed = name switch
            {
                "-h" or "--help" => parsed with { Help = true },
                "--version" => parsed with { Version = true },
                "--from" => parsed with { From = TailStart.Parse(Value()), FromGiven = true },
                "--keys" => parsed with { Keys = true },
                "--values" => parsed with { Keys = true, Values = true },
                "--database" => parsed with { Databases = Value() },
                "--once" => parsed with { Once = true },
                "--json" => parsed with { Json = true },
                "--interval" => parsed with { Interval = ParseInterval(Value()) },
                "--into" => parsed with { Into = Value() },
                "--promote" => parsed with { Promote = true },
                "--fetch" => parsed with { Fetch = OneOf<FetchMode>(name, Value()) },
                "--lazy" => parsed with { Fetch = FetchMode.Lazy },
                "--listen" => parsed with { Listen = Value() },
                "--rows" => parsed with { Rows = true },
                "--table" => parsed with { Tables = Value() },
                "--cursor" => parsed with { Cursor = Value() },
                "--cursor-expiry" => parsed with { CursorExpiry = ParseInterval(Value()) },
                "--ack" => parsed with { Acknowledged = true },
                "--format" => parsed with { Format = OneOf<RowFormat>(name, Value()) },
                "--snapshot" => parsed with { Snapshot = OneOf<RowSnapshot>(name, Value()) },
                "--exec" => parsed with { Exec = ["/bin/sh", "-c", Value()] },
                "--" => parsed with { Exec = [.. given.Skip(i + 1)] },
                _ when name.StartsWith('-') => throw Wrong($"{name} is not known.{Suggestions.For(name, Known)}"),
                _ when parsed.Url.Length > 0 => throw Wrong($"'{name}' is one argument too many."),
                _ => parsed with { Url = name },
            };
            if (name == "--") break;
        }
        return parsed.Help || parsed.Version ? parsed : parsed.Checked();
    }

    /// <summary>The options that the help names.</summary>
    static IEnumerable<string> Known => HelpText.Split([' ', '\n', ',', '.', '=', '[', ']', '|', '(', ')', '`'])
        .Where(word => word.StartsWith("--", StringComparison.Ordinal)).Distinct();

    Arguments Checked()
    {
        if (Url.Length == 0) throw Wrong("The URL of a remote is missing.");
        RemoteUrl.Parse(Url);
        if (Into is null && (Promote || Exec.Count > 0 || Listen is not null || Fetch is not null))
            throw Wrong("--promote, --exec, --listen, --fetch and --lazy need --into DIR.");
        if (Into is not null && FromGiven)
            throw Wrong("--from does not go with --into: a follower goes on where it stopped.");
        if (Keys && (Into is not null || Rows))
            throw Wrong("--keys and --values show the write batches of a RocksDB: neither --into nor --rows.");
        if (Rows && Into is not null)
            throw Wrong("--rows does not go with --into: it shows changes, and keeps no copy.");
        if (!Rows && (Tables != "*" || Cursor is not null || Format != RowFormat.Json || Snapshot != RowSnapshot.Never))
            throw Wrong("--table, --cursor, --format and --snapshot need --rows.");
        if (Acknowledged && Cursor is null)
            throw Wrong("--ack needs --cursor: it says how far the consumer has come, and the cursor keeps that.");
        if (Cursor is not null && Snapshot == RowSnapshot.Only)
            throw Wrong("--snapshot only ends with the rows: there is no place for a --cursor to keep.");
        if (Promote && Exec.Count > 0) throw Wrong("--promote does not go with --exec.");
        return this;
    }

    static T OneOf<T>(string name, string text) where T : struct, Enum =>
        Enum.GetNames<T>().FirstOrDefault(n => n.ToLowerInvariant() == text) is { } found ? Enum.Parse<T>(found)
            : throw Wrong(
            $"{name} cannot be '{text}': give "
                + $"{string.Join(", ", Enum.GetNames<T>().Select(n => n.ToLowerInvariant()))}.");

    static (string Name, string? Value) Split(string argument)
    {
        var at = argument.StartsWith("--", StringComparison.Ordinal) ? argument.IndexOf('=') : -1;
        return at < 0 ? (argument, null) : (argument[..at], argument[(at + 1)..]);
    }

    /// <summary>A length of time; a number alone is seconds.</summary>
    static TimeSpan ParseInterval(string text)
    {
        var isNumber = text.Length > 0 && text.All(c => char.IsAsciiDigit(c) || c == '.');
        var interval = TimeText.ParseDuration(isNumber ? text + "s" : text);
        return interval > TimeSpan.Zero
            ? interval
            : throw Wrong($"--interval cannot be '{text}': give seconds, as 0.5, or milliseconds, as 200ms.");
    }

    static RecoveryException Wrong(string what) => new(RecoveryError.Invalid, $"{what} See recovery-tail --help.");

    public static string HelpText => Usage + "\n\n" + ExitCode.Explained + "\n\n" + Examples;

    const string Usage = """
        recovery-tail URL                   show the commits of a remote as they arrive
        recovery-tail URL --into DIR        keep a copy in DIR that follows the remote
        recovery-tail URL --into DIR --promote
                                            catch up, take over as the writer, and stop

        URL is what the writer ships to: s3://bucket/prefix, or file:///directory. Credentials
        come from the usual AWS places (AWS_ACCESS_KEY_ID..., profiles, instance roles).

        Showing commits:
          --from WHERE      start, now (default), an LSN, or a time: 2026-03-01T12:00:00Z,
                            '2026-03-01 12:00' or 14:03 (local), 'yesterday 14:00', -15m,
                            '5 minutes ago'
          --database GLOB   only databases whose names match, as 'orders*.db'
          --once            stop at the end of the log instead of waiting for more
          --json            one JSON object a line: lsn, time, database, kind, pages, bytes, ...
          --interval TIME   how often to look when idle: 0.5 or 200ms (default 1 s). Each look is
                            one small request.

        Of the remote of a recorded RocksDB, the changes of its files are shown: created, appended,
        truncated, sealed, renamed, linked, deleted; with --json: lsn, time, kind, file, bytes, ...
          --keys            its write batches instead, a line each: what they put, delete, merge, by column
                            family and key; with --json: lsn, time, sequence, operations. Writes without
                            write-ahead log are not among them. One may come again where a writer has
                            written its write-ahead logs anew: its sequence tells.
          --values          the same, with values

        Showing rows (--rows): one JSON object a line for each row that a commit changed, in the
        order of commits: lsn, n (its number within the commit), time, database, table, op
        (insert, update, delete; read), key, before, after. Changes of the schema are lines, too.
        It restores a copy of the store into TMPDIR, and needs room for that.
          --table GLOB      only tables whose names match
          --snapshot WHICH  initial: first all rows there are, then what changes after them;
                            only: all rows, and then stop; never (default)
          --format FORM     json (default), or debezium: Debezium's envelope, a line a message: key,
                            tab, value; a tombstone has no value:
                            recovery-tail URL --rows --format debezium | kcat -P -t app -K '\t' -Z
          --cursor NAME     remember in the remote how far whoever reads our output has come, and go
                            on from there next time. A line counts as read when it was taken from
                            the pipe: after a kill some lines may come twice, none is missing. lsn
                            and n tell. The remote keeps what the cursor needs, for
          --cursor-expiry TIME  (default 7d) after it moved last
          --ack             a line counts as read when the consumer says so on our standard input:
                            a line with the lsn and the n of what it has dealt with, and all before
                            it (or with the lsn alone: all of that commit)

        Following (--into DIR): the databases lie in DIR/.recovery. It begins with the newest hints
        of the remote, goes on where it stopped when it is started again, and verifies every commit.
        Nobody can write to it. Any process reads it meanwhile with file:DIR/app.db?vfs=recovery&mode=ro;
        with &follow=URL besides, a process does the following itself.
        Of the remote of a recorded RocksDB, DIR is a directory that any RocksDB reads meanwhile, at the
        newest state that all tables have come of; promoted, RecordedRocksDb opens it.
          --fetch WHICH     all: all pages come first (default); lazy: pages come when they are read, so
                            that it can be read at once; background: so, and the rest meanwhile
          --lazy            --fetch lazy
          --once            catch up and stop; all pages are there then, unless it is lazy
          --json            events as JSON objects: caught-up, interrupted, promoted; errors too
          --promote         catch up, fence the old writer, and make DIR a store that is written to:
                            open file:DIR/app.db?vfs=recovery&remote=URL then. Refuses when it cannot
                            be sure to have everything that is in the remote.
          --exec CMD        run CMD beside it once it has caught up (or has found the remote away,
                            and serves what it had); signals go to it, and its exit code is ours
                            (or: -- PROGRAM ARGUMENTS...)
          --listen ADDRESS  answer GET /health, /ready and /metrics there, as 127.0.0.1:9090;
                            :9090 is this machine only, 0.0.0.0:9090 all interfaces
        """;

    const string Examples = """
        Examples:
          recovery-tail s3://backups/shop
          recovery-tail s3://backups/shop --from -1h --once --json | jq .database
          recovery-tail s3://backups/shop --rows --table orders --cursor billing | ./bill
          recovery-tail s3://backups/shop --into /var/lib/shop-replica
        """;
}
