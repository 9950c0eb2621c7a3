using System.Globalization;
using RecoveryVfs.Handles;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Handles;

/// <summary>
/// The PRAGMAs of RecoveryVfs, from any language: <c>PRAGMA recovery_status</c> and so on. Each answers with one value;
/// what has several parts has them on lines.
/// </summary>
internal static class Pragmas
{
    /// <summary>The answer to a pragma; null when it is none of ours.</summary>
    public static string? Answer(MainFile file, string pragma, string? value)
    {
        var store = file.Store;
        switch (pragma)
        {
            case "recovery_status":
                return Status(file);
            case "recovery_lsn":
                // What is only buffered is not shipped: whoever waits for this LSN on a follower must not wait for the
                // next commit here.
                if (store.Lsn.Last > store.Lsn.Durable) TryWriteOut(store);
                return store.Lsn.Last.ToString(CultureInfo.InvariantCulture);
            case "recovery_snapshot":
                store.RemoteOrThrow().PublishHintsAsync().GetAwaiter().GetResult();
                return (store.Remote?.State.Hints?.Lsn ?? 0).ToString(CultureInfo.InvariantCulture);
            case "recovery_bookmark":
                if (store.Lsn.Last > store.Lsn.Durable) TryWriteOut(store);
                return store.Bookmark.ToString();
            case "recovery_durable_lsn":
                return store.Lsn.Durable.ToString(CultureInfo.InvariantCulture);
            case "recovery_sync":
                store.SyncRemote(Patience(value));
                return store.Lsn.Durable.ToString(CultureInfo.InvariantCulture);
            case "recovery_remote":
                return store.Remote?.Url ?? "none";
            case "recovery_remote_lsn":
                return (store.Remote?.State.ShippedLsn ?? 0).ToString(CultureInfo.InvariantCulture);
            case "recovery_fetched":
                return store.FetchedText;
            case "recovery_checkpoint":
                store.Checkpoint();
                return store.Lsn.Durable.ToString(CultureInfo.InvariantCulture);
            case "recovery_verify" when value == "remote":
                return VerifyRemote(store);
            case "recovery_compact":
                return store.Compact().ToString(CultureInfo.InvariantCulture);
            case "recovery_verify":
                var problems = store.Verify(value == "store" ? null : file.Open.Database, CancellationToken.None);
                return problems.Count == 0 ? "ok" : string.Join('\n', problems);
            case "recovery_databases":
                return string.Join('\n', store.Databases.Select(d => d.Name).Where(n => !DeletedName.Is(n)));
            case "recovery_store":
                return file.Open.Store.Directory;
            case "recovery_database":
                return file.Open.Database.Name;
            case "recovery_last_error":
                return Failures.Latest;
            default:
                return Setting(file, pragma, value);
        }
    }

    /// <summary>What a connection may choose for itself, and what was chosen when the store was opened.</summary>
    static string? Setting(MainFile file, string pragma, string? value)
    {
        switch (pragma)
        {
            case "recovery_durability":
                if (value is not null) Raise(file, Options.ParseDurability(value));
                return file.Durability == Durability.Remote ? "remote" : "async";
            case "recovery_isolation":
                if (value is not null) file.Isolation = Options.ParseIsolation(value);
                return Name(file.Isolation);
            case "recovery_journal":
                if (value is not null) file.Open.PlainJournal = Options.ParseJournal(value) == JournalPlace.Plain;
                return file.Open.PlainJournal ? "plain" : "auto";
            case "recovery_page_cache":
                return Fixed(pragma, value, file.Open.Store.Options.PageCacheBytes);
            case "recovery_overlay_budget":
                return Fixed(pragma, value, file.Open.Store.Options.OverlayBytes);
            case "recovery_pending_budget":
                return Fixed(pragma, value, file.Open.Store.Options.PendingBytes);
            case "recovery_wal_buffer":
                return Fixed(pragma, value, file.Open.Store.Options.WalBufferBytes);
            case "recovery_max_local_log":
                return Fixed(pragma, value, file.Open.Store.Options.MaxLocalLogBytes);
            case "recovery_linger":
                return Fixed(pragma, value, (long)file.Open.Store.Options.Linger.TotalMilliseconds);
            case "recovery_lock_timeout":
                return Fixed(pragma, value, (long)file.Open.Store.Options.LockTimeout.TotalMilliseconds);
            default:
                return null;
        }
    }

    static string Status(MainFile file) => Lines([
        KeyValuePair.Create("store", file.Open.Store.Directory),
        KeyValuePair.Create("database", file.Open.Database.Name),
        KeyValuePair.Create("isolation", Name(file.Isolation)),
        KeyValuePair.Create("journal", file.Open.PlainJournal ? "plain" : "auto"),
        .. file.Store.Status()]);

    /// <summary>
    /// The value of <c>recovery_sync=SECONDS</c>; null for the usual (<c>=remote</c> says the same as nothing).
    /// </summary>
    static TimeSpan? Patience(string? value) => value is null or "remote" ? null
        : uint.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds)
        ? TimeSpan.FromSeconds(seconds)
        : throw new RecoveryException(RecoveryError.Invalid,
        $"recovery_sync={value}: give the seconds that an outage of the remote may last, or nothing (30).");

    /// <summary>Whoever may run SQL must not be able to take a promise back that the program has made.</summary>
    static void Raise(MainFile file, Durability wanted)
    {
        if (wanted < file.Durability)
            throw new RecoveryException(RecoveryError.Invalid,
                "The durability of a connection is raised by SQL, not lowered.",
                "Open another connection with durability=async.");
        file.Durability = wanted;
    }

    static string VerifyRemote(Store store)
    {
        var remote = store.Remote
            ?? throw new RecoveryException(RecoveryError.Invalid,
                $"The store {store.Directory} has no remote to verify.",
                "Set remote=URL.")
            { Path = store.Directory };
        return remote.VerifyAsync().GetAwaiter().GetResult().Problem ?? "ok";
    }

    static void TryWriteOut(Store store)
    {
        try
        {
            store.WriteOut();
        }
        catch (RecoveryException)
        {
            // A store that takes no more writes still says where it stopped.
        }
    }

    static string Name(Isolation isolation) => isolation == Isolation.Locking ? "locking" : "snapshot";

    static string Fixed(string pragma, string? value, long current) => value is null
        ? current.ToString(CultureInfo.InvariantCulture)
        : throw new RecoveryException(RecoveryError.Invalid,
            $"{pragma} is fixed while the store is open: give it with the first connection, in the environment, or "
                + "in the store's config file.");

    static string Lines(IEnumerable<KeyValuePair<string, string>> values)
        => string.Join('\n', values.Select(v => $"{v.Key}: {v.Value}"));
}
