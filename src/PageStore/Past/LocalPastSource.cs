using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.PageStore.Past;

/// <summary>
/// The past as a store's own directory has it, as far back as that reaches; and what lies before in its remote, when
/// there is one.
/// </summary>
/// <param name="options">The store; it is not opened for writing.</param>
/// <param name="beyond">Opens the remote when it is needed; null where there is none.</param>
internal sealed class LocalPastSource(StoreOptions options, Func<PastSource>? beyond) : PastSource
{
    // A writer may replace files while they are opened.
    const int TriesMax = 5;

    PastSource? remote;

    /// <inheritdoc/>
    public override string Location => remote?.Location ?? options.Directory;

    PastSource Beyond() => remote ??= beyond!();

    /// <inheritdoc/>
    public override async Task<PastStore> OpenAsync(RestoreTarget at, PastOptions? pastOptions = null,
        CancellationToken cancellation = default)
    {
        RecoveryException why;
        try
        {
            return OpenLocal(at);
        }
        catch (RecoveryException e) when (IsAnswerable(e) || options.Home.IsLazy)
        {
            // What the store does not have here yet is in its remote.
            why = e;
        }
        if (beyond is null) throw why;
        try
        {
            return await Beyond().OpenAsync(at, pastOptions, cancellation);
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.NotFound)
        {
            throw new RecoveryException(e.Error, $"{e.Message} {why.Message}", e) { Path = e.Path, Lsn = e.Lsn };
        }
    }

    static bool IsAnswerable(RecoveryException e)
        => e.Error is RecoveryError.Corrupt or RecoveryError.NotFound or RecoveryError.IoRead;

    LocalPast OpenLocal(RestoreTarget at)
    {
        for (var tries = 1; ; tries++)
        {
            LocalPast? past = null;
            try
            {
                past = LocalPast.OpenOldest(options);
                if (!past.Reaches(at)) throw OutOfReach(past, at);
                past.Begin(at);
                return past;
            }
            catch (RecoveryException e) when (IsAnswerable(e) && tries < TriesMax && past?.Reaches(at) != false)
            {
                Close(past);
            }
            catch
            {
                Close(past);
                throw;
            }
        }
    }

    static void Close(LocalPast? past) => past?.DisposeAsync().AsTask().GetAwaiter().GetResult();

    RecoveryException OutOfReach(LocalPast past, RestoreTarget at) => new(RecoveryError.NotFound,
        $"{at} is before what the store {options.Directory} still has itself: its pages and its log reach back to LSN "
            + $"{past.OldestLsn} ({past.OldestTime.UtcDateTime:yyyy-MM-dd'T'HH:mm:ss.fff'Z'})"
            + (beyond is null ? ", and it has no remote that would reach further. Name a later moment." : "."))
    { Path = options.Directory, Lsn = past.OldestLsn };

    /// <inheritdoc/>
    public override async Task<RestoreTarget> OldestAsync(CancellationToken cancellation = default)
    {
        if (beyond is not null && options.Home.IsLazy) return await Beyond().OldestAsync(cancellation);
        ulong own;
        await using (var past = OpenLocal(RestoreTarget.Newest)) own = past.OldestLsn;
        return own == 0 || beyond is null ? RestoreTarget.At(own) : await Beyond().OldestAsync(cancellation);
    }

    /// <inheritdoc/>
    public override async Task RequireAsync(RestoreTarget at, CancellationToken cancellation = default)
    {
        await using var past = await OpenAsync(at, null, cancellation);
    }
}
