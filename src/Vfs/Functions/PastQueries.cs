using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using RecoveryVfs.Changes;
using RecoveryVfs.Changes.Lines;
using RecoveryVfs.Changes.Versions;
using RecoveryVfs.PageStore.Past;
using RecoveryVfs.PageStore.Tails;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.Rows;

namespace RecoveryVfs.Functions;

/// <summary>
/// What the functions answer. They read the remote of the connection's store, which is first given what it lacks; so
/// they see every commit that had returned. Rows are given as they are asked for.
/// </summary>
internal static class PastQueries
{
    static RestoreTarget? Moment(object? value) => value switch
    {
        null => null,
        long and < 0 => throw new RecoveryException(RecoveryError.Invalid,
            $"{value} is no moment of a log: give an LSN, or a time as text."),
        long lsn => RestoreTarget.At((ulong)lsn),
        string text => RestoreTarget.Parse(text),
        _ => throw new RecoveryException(RecoveryError.Invalid, "A moment is an LSN, or a time as text."),
    };

    static TailStart Start(RestoreTarget? after) => after switch
    {
        null => TailStart.Oldest,
        { Lsn: { } lsn } => TailStart.At(lsn + 1),
        { TimeMs: { } ms } => TailStart.At(DateTimeOffset.FromUnixTimeMilliseconds(ms + 1)),
        _ => TailStart.Now,
    };

    /// <summary>A name as a glob that nothing else matches.</summary>
    static string Exactly(string name) => name.AsSpan().ContainsAny("*?\\<>\"")
        ? string.Concat(name.Select(c => "*?\\<>\"".Contains(c) ? "?" : c.ToString())) : name;

    static bool IsBeyond(RestoreTarget? until, ulong lsn, DateTimeOffset time) => until is { } to
        && (lsn > to.Lsn || time.ToUnixTimeMilliseconds() > to.TimeMs);

    public static IEnumerable<object?[]> Log(FunctionCall call)
    {
        using var past = PastOf.Open(call.Database);
        var (since, until) = (Moment(call.Arguments[0]), Moment(call.Arguments[1]));
        var tables = call.WithTables ? TablesOf(past, since, until) : null;
        var store = Wait(OpenAsync(past, since));
        try
        {
            while (Wait(store.NextAsync(until ?? RestoreTarget.Newest, wait: false).AsTask()) is { Count: > 0 } commits)
                foreach (var commit in commits)
                {
                    if (commit.Database != past.Name) continue;
                    var kind = commit.Kind == TailedKind.WalCommit ? "commit"
                        : commit.Kind.ToString().ToLowerInvariant();
                    yield return [(long)commit.Lsn, ChangeJson.Time(commit.Time), kind, (long)commit.Pages.Count,
                        commit.Bytes, commit.SizeBytes, tables?.GetValueOrDefault(commit.Lsn)];
                }
        }
        finally
        {
            Wait(store.DisposeAsync());
        }
    }

    static async Task<PastStore> OpenAsync(PastOf past, RestoreTarget? since) =>
        await past.Source.OpenAsync(since ?? await past.Source.OldestAsync());

    static Dictionary<ulong, string> TablesOf(PastOf past, RestoreTarget? since, RestoreTarget? until)
    {
        var touched = new Dictionary<ulong, SortedSet<string>>();
        foreach (var each in Tail(past, "*", since).ReadAsync().ToBlockingEnumerable())
        {
            if (IsBeyond(until, each.Lsn, each.Time)) break;
            if (each.Table is null) continue;
            if (!touched.TryGetValue(each.Lsn, out var names))
                touched.Add(each.Lsn, names = new(StringComparer.Ordinal));
            names.Add(each.SchemaChange is { } change ? (change.After ?? change.Before)!.TableName : each.Table);
        }
        return touched.ToDictionary(t => t.Key, t => string.Join(", ", t.Value));
    }

    static RowTail Tail(PastOf past, string tables, RestoreTarget? since) =>
        new(past.Source,
            new RowTailOptions { From = Start(since), Once = true, Databases = Exactly(past.Name), Tables = tables });

    public static IEnumerable<object?[]> Changes(FunctionCall call)
    {
        using var past = PastOf.Open(call.Database);
        var until = Moment(call.Arguments[2]);
        foreach (var each in Tail(past, Exactly(call.Text(0, "the table's name")), Moment(call.Arguments[1]))
            .ReadAsync().ToBlockingEnumerable())
        {
            if (IsBeyond(until, each.Lsn, each.Time)) break;
            if (each.Table is null || each.SchemaChange is not null) continue;
            yield return [(long)each.Lsn, each.Number, ChangeJson.Time(each.Time), each.Table,
                each.Kind.ToString().ToLowerInvariant(),
                Key((each.After ?? each.Before)!, each.KeyKind), Json(each.Before), Json(each.After)];
        }
    }

    public static IEnumerable<object?[]> Difference(FunctionCall call)
    {
        using var past = PastOf.Open(call.Database);
        var name = call.Text(0, "the table's name");
        var moments =
            Wait(MomentDifference.OpenAsync(past.Source, past.Name, Moment(call.Arguments[1])
            ?? RestoreTarget.Newest, Moment(call.Arguments[2]) ?? RestoreTarget.Newest));
        try
        {
            var seen = false;
            foreach (var table in moments.Difference.Tables)
            {
                if (!name.Equals((table.After ?? table.Before!).Name, StringComparison.OrdinalIgnoreCase)) continue;
                seen = true;
                foreach (var change in table.Changes())
                    yield return [(table.After ?? table.Before!).Name, ChangeJson.Word(change.Kind),
                        Key((change.After ?? change.Before)!, table.KeyKind), Json(change.Before), Json(change.After)];
            }
            if (!seen) throw NoTable(past, name);
        }
        finally
        {
            Wait(moments.DisposeAsync());
        }
    }

    static RecoveryException NoTable(PastOf past, string name)
        => new(RecoveryError.NotFound, $"The database {past.Name} had no table {name} then.");

    public static IEnumerable<object?[]> History(FunctionCall call)
    {
        using var past = PastOf.Open(call.Database);
        var key = call.Arguments[1] switch
        {
            string text => text,
            long number => number.ToString(CultureInfo.InvariantCulture),
            double real => real.ToString("R", CultureInfo.InvariantCulture),
            byte[] blob => $"x'{Convert.ToHexString(blob)}'",
            _ => throw new RecoveryException(RecoveryError.Invalid,
                "Argument 2 is the row's key; of several columns a JSON array."),
        };
        var history = new RowHistory(past.Source, past.Name, call.Text(0, "the table's name"), key);
        foreach (var version in history.ReadAsync(Moment(call.Arguments[2]), RestoreTarget.Newest)
            .ToBlockingEnumerable())
            yield return [(long)version.Lsn, ChangeJson.Time(version.Time), Json(version.Row)];
    }

    public static IEnumerable<object?[]> At(FunctionCall call)
    {
        using var past = PastOf.Open(call.Database);
        var name = call.Text(0, "the table's name");
        var store = Wait(past.Source.OpenAsync(Moment(call.Arguments[1]) ?? RestoreTarget.Newest));
        try
        {
            using var moment = new DatabaseMoment(store.Lsn, store.Time, store.Pin(past.Name));
            if (!moment.Exists || !moment.Rows.Schema.TryGetTable(name, out var table)) throw NoTable(past, name);
            for (var cursor = moment.Rows.Read(table); cursor.Read();)
            {
                var row = cursor.ToRow();
                yield return [Key(row, table.KeyKind), Json(row)];
            }
        }
        finally
        {
            Wait(store.DisposeAsync());
        }
    }

    static T Wait<T>(Task<T> task) => Task.Run(() => task).GetAwaiter().GetResult();

    static void Wait(ValueTask task) => Task.Run(async () => await task).GetAwaiter().GetResult();

    static string? Json(Row? row) => row is null ? null : Written(json => ValueJson.Write(json, row));

    static string Key(Row row, KeyKind kind) => Written(json => ValueJson.WriteKey(json, row, kind));

    static string Written(Action<Utf8JsonWriter> write)
    {
        var bytes = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(bytes, ValueJson.Options)) write(json);
        return Encoding.UTF8.GetString(bytes.WrittenSpan);
    }
}
