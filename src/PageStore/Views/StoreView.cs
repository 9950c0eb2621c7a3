using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.PageStore.Views;

/// <summary>
/// A store that another process writes (or none), or that a follower in another process keeps, read here: each reader
/// sees every commit that had returned when it began. Nothing in the directory is written, locked or renamed, and the
/// writer knows nothing of it. Nothing happens between readers. Thread-safe.
/// </summary>
internal sealed class StoreView : IFollowedStore, IDisposable
{
    // Openings that fail because a writer changes what is being opened.
    const int TriesMax = 50;
    // Failures that nothing in the directory explains.
    const int QuietTriesMax = 3;

    readonly StoreOptions options;
    readonly Lock gate = new();
    ViewedState? current;
    bool disposed;

    StoreView(StoreOptions options) => this.options = options;

    /// <summary>The store's directory.</summary>
    public string Directory => options.Directory;

    /// <summary>
    /// How often it was opened anew: because the writer had dropped log that was needed, or began another.
    /// </summary>
    public int Openings { get; private set; }

    /// <summary>
    /// Opens what is there now. <see cref="StoreOptions.OverlayBytes"/> is what is kept of pages committed since the
    /// writer's last flush before newer files are taken.
    /// </summary>
    public static StoreView Open(StoreOptions options)
    {
        options.Home.ThrowIfOfRocksDb();
        var view = new StoreView(options);
        lock (view.gate) view.OpenAnew();
        return view;
    }

    /// <summary>One more reader, of everything that was committed before this call.</summary>
    public FollowerReader Read()
    {
        lock (gate)
        {
            ObjectDisposedException.ThrowIf(disposed, this);
            if (!TryAdvance()) OpenAnew();
            return current!.Read();
        }
    }

    /// <summary>The newest record that readers see.</summary>
    public ulong Lsn
    {
        get { lock (gate) return current!.Lsn; }
    }

    /// <summary>The identity of the log that it shows.</summary>
    public Guid LogId
    {
        get { lock (gate) return current!.LogId; }
    }

    /// <summary>Whether the directory is a follower's.</summary>
    public bool IsReplica
    {
        get { lock (gate) return current!.IsReplica; }
    }

    /// <summary>
    /// How old what readers see may be: zero beside a writer; in a follower's directory the time since that was last
    /// known to lack nothing, which grows and shrinks with each of its looks.
    /// </summary>
    public TimeSpan Lag
    {
        get
        {
            if (!IsReplica) return TimeSpan.Zero;
            var lag = options.Time.GetUtcNow() - options.Home.CaughtUpAt(isFollowed: Holder is not null
                || Follower.Find(Directory) is not null);
            return lag > TimeSpan.Zero ? lag : TimeSpan.Zero;
        }
    }

    /// <summary>
    /// Who has the store open for writing (or follows into it), in words; null when nobody is known to.
    /// </summary>
    public string? Holder => HolderOf(Directory);

    /// <summary>
    /// Which other process has a store open for writing (or follows into it), in words; null when none is known to.
    /// </summary>
    public static string? HolderOf(string directory)
    {
        // Its lock is not tried: nothing is locked here. Whoever holds it has said so, and lives.
        var text = LockFile.ReadText(new StoreHome(directory).Lock);
        return text.StartsWith("pid ", StringComparison.Ordinal) && text.IndexOf(' ', 4) is > 4 and var end
            && int.TryParse(text.AsSpan(4, end - 4), out var pid)
            && pid != Environment.ProcessId && System.IO.Directory.Exists($"/proc/{pid}") ? text : null;
    }

    bool TryAdvance()
    {
        try
        {
            return current!.TryAdvance();
        }
        catch (RecoveryException e) when (IsAnswerable(e))
        {
            return false;
        }
    }

    // What a new opening may put right.
    static bool IsAnswerable(RecoveryException e)
        => e.Error is RecoveryError.Corrupt or RecoveryError.NotFound or RecoveryError.IoRead;

    void OpenAnew()
    {
        for (int tries = 1, quiet = 0; ; tries++)
        {
            var before = WriterMark.Of(options);
            try
            {
                Adopt(ViewedState.Open(options));
                return;
            }
            catch (RecoveryException e) when (IsAnswerable(e) || e.Error == RecoveryError.Busy)
            {
                if (!System.IO.Directory.Exists(Directory))
                    throw new RecoveryException(RecoveryError.NotFound,
                        $"There is no store at {Directory}.",
                        "Check the path.",
                        e)
                    { Path = Directory };
                quiet = WriterMark.Of(options) == before ? quiet + 1 : 0;
                if (tries < TriesMax && quiet < QuietTriesMax) continue;
                var startsOver = options.Home.IsStartingOver;
                // While a follower is made anew or catches up, what was shown before is as good as ever.
                if ((startsOver || e.Error == RecoveryError.Busy) && current is { IsBroken: false }) return;
                if (startsOver)
                    throw new RecoveryException(RecoveryError.Busy,
                        $"The follower {Directory} starts over from the remote's hints.",
                        "Try again in a while.",
                        e)
                    { Path = Directory };
                throw;
            }
        }
    }

    void Adopt(ViewedState fresh)
    {
        // A follower that lost power goes back a little, and comes again.
        if (current is { IsBroken: false } old && fresh.IsReplica && fresh.LogId == old.LogId && fresh.Lsn < old.Lsn)
        {
            fresh.Retire();
            return;
        }
        Openings++;
        current?.Retire();
        current = fresh;
    }

    /// <summary>Closes it; readers that are left keep what they see.</summary>
    public void Dispose()
    {
        lock (gate)
        {
            if (disposed) return;
            disposed = true;
            current?.Retire();
        }
    }
}
