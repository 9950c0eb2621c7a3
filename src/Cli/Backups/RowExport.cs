using System.Globalization;
using System.IO.Enumeration;
using System.Text;
using RecoveryVfs.Changes.Backups;
using RecoveryVfs.Changes.Lines;
using RecoveryVfs.Changes.Versions;
using RecoveryVfs.Operations;
using RecoveryVfs.PageStore.Past;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Views;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.Rows;

namespace RecoveryVfs.Cli.Backups;

/// <summary>In which form rows are exported.</summary>
internal enum RowExportFormat
{
    Sqlite,
    Jsonl,
    Csv,
    Sql,
}

/// <summary>Writes the rows of a version, or what changed since another, in some form.</summary>
internal sealed class RowExport(RowExportFormat format, string? tables, Stream output)
{
    bool IsWanted(string name) => tables is null
        || FileSystemName.MatchesSimpleExpression(tables, name, ignoreCase: true);

    /// <summary>A database as a local store has it, in use or not.</summary>
    public BackupEnd? WriteLocal(string store, string database, string shown)
    {
        using var view = StoreView.Open(new StoreOptions { Directory = store });
        using var reader = view.Read();
        using var moment = new DatabaseMoment(reader.Lsn, DateTimeOffset.UtcNow, reader.Pin(database));
        if (!moment.Exists)
            throw new RecoveryException(RecoveryError.NotFound, $"There is no database {shown}.") { Path = shown };
        return Write(moment, Header(database, view.LogId, moment));
    }

    /// <summary>A database at a moment.</summary>
    public async Task<BackupEnd?> WritePastAsync(PastSource source, string database, RestoreTarget at,
        CancellationToken cancellation)
    {
        await using var past = await source.OpenAsync(at, null, cancellation);
        using var moment = new DatabaseMoment(past.Lsn, past.Time, past.Pin(database));
        if (!moment.Exists) throw MomentDifference.Unknown(database, past.Databases, source.Location);
        return Write(moment, Header(database, past.LogId, moment));
    }

    /// <summary>What changed in a database since a backup, or since a moment.</summary>
    public async Task<BackupEnd?> WriteSinceAsync(PastSource source, string database, RestoreTarget since,
        (BackupHeader Header, BackupEnd End)? earlier, RestoreTarget at,
        CancellationToken cancellation)
    {
        await using var moments =
            await MomentDifference.OpenAsync(source, database, since, at, cancellation: cancellation);
        if (moments.To.Lsn < moments.From.Lsn)
            throw new RecoveryException(RecoveryError.Invalid,
                $"LSN {moments.From.Lsn} is after LSN {moments.To.Lsn}: an increment goes forward.");
        if (earlier is { } known && known.Header.Log != moments.LogId)
            throw new RecoveryException(RecoveryError.Invalid,
                $"The backup is of the log {known.Header.Log}, and {source.Location} holds {moments.LogId}. Give the "
                    + "database, or the remote, that it was taken from.");
        var header = Header(database, moments.LogId,
            moments.To) with
        { Since = new BackupPredecessor(moments.From.Lsn, earlier?.End.Sha256) };
        return new BackupWriter(output, IsWanted).WriteIncrement(header, moments.Difference, moments.To.Rows);
    }

    BackupHeader Header(string database, Guid log, DatabaseMoment moment) =>
        new()
        {
            Kind = BackupHeader.Full,
            Database = database,
            Log = log,
            Lsn = moment.Lsn,
            Time = moment.Time,
            OnlyTables = tables
        };

    BackupEnd? Write(DatabaseMoment moment, BackupHeader header)
    {
        RequireTable(moment.Rows, header.Database);
        switch (format)
        {
            case RowExportFormat.Jsonl:
                return new BackupWriter(output, IsWanted).WriteFull(header, moment.Rows);
            case RowExportFormat.Csv:
                WriteCsv(moment.Rows);
                return null;
            default:
                WriteSql(moment.Rows);
                return null;
        }
    }

    /// <summary>No rows must not be the answer to a name that no table has.</summary>
    void RequireTable(RowReader rows, string database)
    {
        var there = rows.Schema.Entries.Where(e => e.Kind is SchemaKind.Table or SchemaKind.VirtualTable)
            .Select(e => e.Name).ToList();
        if (tables is not null && format != RowExportFormat.Csv && !there.Any(IsWanted))
            throw PastDatabase.NoTable(tables, database, there);
    }

    StreamWriter Text(string newLine)
        => new(output, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), 64 << 10,
            leaveOpen: true)
        { NewLine = newLine };

    void WriteSql(RowReader rows)
    {
        using var text = Text("\n");
        text.WriteLine("PRAGMA foreign_keys=OFF;");
        try
        {
            SqlPatch.Write(new VersionDifference(new RowReader(new VersionPages(null)), rows), text,
                tables is null ? null : c => IsWanted((c.After ?? c.Before)!.Table.Name));
        }
        catch (NotSupportedException e)
        {
            throw new RecoveryException(RecoveryError.Invalid,
                $"{e.Message} Virtual tables are exported as jsonl or sqlite.", e);
        }
    }

    void WriteCsv(RowReader rows)
    {
        var found = rows.Schema.Tables.Where(t => !t.IsInternal && IsWanted(t.Name)).ToList();
        if (found.Count != 1)
            throw new RecoveryException(RecoveryError.Invalid,
                "CSV holds one table. Give --table with one of: "
                    + $"{Cli.Text.Some([.. rows.Schema.Tables.Where(t => !t.IsInternal).Select(t => t.Name)])}.");
        using var text = Text("\r\n");
        var columns = Enumerable.Range(0, found[0].Columns.Count).Where(i => found[0].Columns[i].IsStored).ToList();
        text.WriteLine(string.Join(',', columns.Select(i => RowsOutput.Csv(found[0].Columns[i].Name))));
        for (var cursor = rows.Read(found[0]); cursor.Read();)
        {
            for (var i = 0; i < columns.Count; i++)
            {
                if (i > 0) text.Write(',');
                text.Write(Csv(cursor[columns[i]]));
            }
            text.WriteLine();
        }
    }

    /// <summary>NULL is nothing; blobs are hexadecimal, since CSV is text.</summary>
    static string Csv(ColumnValue value) => value.Kind switch
    {
        ValueKind.Null => "",
        ValueKind.Integer => value.Integer.ToString(CultureInfo.InvariantCulture),
        ValueKind.Real => ValueText.Real(value.Real),
        ValueKind.Text => RowsOutput.Csv(value.Text),
        _ => Convert.ToHexStringLower(value.Bytes),
    };
}
