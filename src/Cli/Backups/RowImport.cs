using System.Text.Json;
using RecoveryVfs.Changes.Backups;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Cli.Backups;

/// <summary>What becomes of a database that is there already.</summary>
internal enum ExistingDatabase
{
    /// <summary>Nothing: the import is refused.</summary>
    Fail,
    /// <summary>Rows come in under their keys; others stay.</summary>
    Merge,
    /// <summary>All that is there goes, in the same transaction.</summary>
    Replace,
}

/// <summary>
/// Brings backups that follow each other into a database, in one transaction: all of it is there afterwards, or
/// nothing. Each file is read twice, for nothing of one that does not verify is taken.
/// </summary>
internal sealed class RowImport(Connection connection, ExistingDatabase existing)
{
    readonly SchemaImport schema = new(connection);

    /// <summary>Rows that were written or taken away.</summary>
    public long Rows { get; private set; }

    public void Run(IReadOnlyList<string> files)
    {
        var chain = BackupReader.VerifyChain(files);
        foreach (var pragma in (string[])["PRAGMA foreign_keys=OFF", "PRAGMA ignore_check_constraints=ON",
            "PRAGMA recursive_triggers=OFF", "PRAGMA trusted_schema=OFF", "PRAGMA cell_size_check=ON"])
            connection.Ask(pragma);
        var isEmpty = connection.Ask("SELECT count(*) FROM sqlite_schema") == "0";
        if (isEmpty && chain[0].Header.IsFull) connection.Ask($"PRAGMA encoding='{chain[0].Header.Encoding}'");
        if (!isEmpty && existing == ExistingDatabase.Fail)
            throw new RecoveryException(RecoveryError.Invalid,
                "The database exists already, and is not changed. Give --into-existing merge or replace, or another "
                    + "name.");
        if (!chain[0].Header.IsFull && existing != ExistingDatabase.Merge)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{files[0]} is an increment since LSN {chain[0].Header.Since!.Lsn}. Give the full backup before it, "
                    + "too, or --into-existing merge for a database that has it.");
        connection.Ask("BEGIN IMMEDIATE");
        try
        {
            if (existing == ExistingDatabase.Replace) schema.DropAll();
            else schema.KeepTriggers();
            for (var i = 0; i < files.Count; i++) Take(files[i], chain[i].End);
            schema.CreateKeptTriggers();
            connection.Ask("COMMIT");
        }
        catch (Exception e) when (IsOfAStrangeLine(e))
        {
            connection.Ask("ROLLBACK");
            throw StrangeLine(e);
        }
        catch (SqliteRefusal e)
        {
            connection.Ask("ROLLBACK");
            throw new RecoveryException(RecoveryError.Invalid, $"Nothing was imported. {e.Message}", e);
        }
        catch
        {
            connection.Ask("ROLLBACK");
            throw;
        }
    }

    /// <summary>What reading JSON of another form throws.</summary>
    static bool IsOfAStrangeLine(Exception e) =>
        e is JsonException or InvalidOperationException or FormatException or KeyNotFoundException;

    static RecoveryException StrangeLine(Exception e) => new(RecoveryError.Corrupt,
        $"Nothing was imported. A line of the backup is none that is written here: {e.Message}",
        "Use another copy, and find out who made this one.", e);

    void Take(string file, BackupEnd verified)
    {
        using var reader = BackupReader.TryOpen(file)
            ?? throw new RecoveryException(RecoveryError.Corrupt, $"{file} is not what it was a moment ago.");
        var header = reader.Header;
        schema.DropTriggers();
        if (header.IsFull) schema.CreateTables(header.Schema);
        using var writer = new RowWriter(connection);
        var created = header.IsFull;
        while (reader.TryRead(out var line))
        {
            var json = new Utf8JsonReader(line);
            if (!json.Read() || !json.Read() || json.TokenType != JsonTokenType.PropertyName)
                throw reader.Damaged("a line says nothing");
            if (json.ValueTextEquals("drop"u8))
            {
                schema.Drop(line);
                continue;
            }
            if (!created) schema.CreateTables(header.Schema);
            created = true;
            writer.Take(line);
            Rows++;
        }
        if (!created) schema.CreateTables(header.Schema);
        if (reader.End!.Sha256 != verified.Sha256) throw reader.Damaged("it changed while it was read");
        schema.CreateRest(header.Schema);
    }
}
