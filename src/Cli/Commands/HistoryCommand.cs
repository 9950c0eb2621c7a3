using System.Buffers;
using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using RecoveryVfs.Changes.Lines;
using RecoveryVfs.Changes.Versions;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Shows every version of one row, with the commits that made it so.</summary>
internal sealed class HistoryCommand : CliCommand
{
    readonly Argument<string?> target;
    readonly Option<string?> database, table, key, from, to;

    public HistoryCommand() : base("history", "Show every version of one row, with the commits that made it so.")
    {
        target = WithPlace();
        database = WithDatabase();
        table = Taking<string?>("--table", "NAME", "The table.");
        key = Taking<string?>("--key", "KEY",
            "The row's primary key, or its rowid where there is none; of several columns a JSON array, as '[\"a\", "
                + "1]'.");
        from = Taking<string?>("--from", "MOMENT",
            "Not before this moment: an LSN or a time (default: the oldest that the remote can show).");
        to = Taking<string?>("--to", "MOMENT", "Not after this moment (default: now).");
        About = """
            One line a version, oldest first: the commit's LSN, its time, and the row. The state at --from is restored
            aside and the log after it is read commit by commit; commits of other databases cost next to nothing. A
            store's directory answers itself, as far back as it reaches. With --json a version is a JSON object on a
            line of its own.
            """;
        Examples = ["recovery history s3://bucket/app --database a.db --table customers --key 42",
            "recovery history /data --table stock --key '[\"oslo\", 7]' --from -1d --json"];
    }

    protected override async Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var wantedTable = parsed.GetValue(table)
            ?? throw new RecoveryException(RecoveryError.Invalid, "Which table? Give --table.");
        var wantedKey = parsed.GetValue(key)
            ?? throw new RecoveryException(RecoveryError.Invalid, "Which row? Give --key.");
        RestoreTarget? first = parsed.GetValue(from) is { } given ? RestoreTarget.Parse(given) : null;
        var last = RestoreTarget.Parse(parsed.GetValue(this.to) ?? "now");
        await using var past = await PastPlace.OpenAsync(parsed.GetValue(target), parsed.GetValue(database), first, to,
            cancellation);
        var history = new RowHistory(past.Source, past.Database, wantedTable, wantedKey);
        var any = false;
        using var lines = to.IsJson ? to.OpenRawBytes() : Stream.Null;
        await foreach (var version in history.ReadAsync(first, last, cancellation))
        {
            any = true;
            if (to.IsJson) WriteJson(lines, version);
            else to.Line(
                string.Create(CultureInfo.InvariantCulture,
                $"{version.Lsn,12}  {Text.Time(version.Time)}  {Said(version)}"));
        }
        if (!any) to.Note($"No row of {wantedTable} had the key {wantedKey}.");
        return any ? ExitCode.Ok : ExitCode.NotFound;
    }

    static string Said(RowVersion version)
    {
        if (version.Row is not { } row) return "deleted";
        var columns = row.Table.Columns;
        var values = new List<string>();
        for (var i = 0; i < columns.Count; i++)
            if (columns[i].IsStored) values.Add($"{columns[i].Name}={ValueText.Sql(row[i])}");
        return (version.IsFirst ? "(then) " : "") + string.Join(", ", values);
    }

    static void WriteJson(Stream to, RowVersion version)
    {
        var line = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(line, ValueJson.Options))
        {
            json.WriteStartObject();
            json.WriteNumber("lsn", version.Lsn);
            json.WriteString("time", ChangeJson.Time(version.Time));
            json.WritePropertyName("row");
            if (version.Row is { } row) ValueJson.Write(json, row);
            else json.WriteNullValue();
            json.WriteEndObject();
        }
        line.Write("\n"u8);
        to.Write(line.WrittenSpan);
    }
}
