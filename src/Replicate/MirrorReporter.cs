using RecoveryVfs.Replicate.Mirrors;

namespace RecoveryVfs.Replicate;

/// <summary>
/// Writes a replicator's report: at once when a database comes in step or is not any more, else once a second while
/// something changes.
/// </summary>
internal sealed class MirrorReporter : IAsyncDisposable
{
    static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    readonly string directory;
    readonly Func<ReportedDatabase[]> databases;
    readonly TimeProvider time;
    readonly CancellationTokenSource stopping = new();
    readonly SemaphoreSlim urgent = new(0, 1);
    readonly Task running;
    ReportedDatabase[] written = [];

    public MirrorReporter(string directory, Func<ReportedDatabase[]> databases, TimeProvider time)
    {
        (this.directory, this.databases, this.time) = (directory, databases, time);
        running = Task.Run(RunAsync);
    }

    /// <summary>Something changed that somebody may be waiting to see.</summary>
    public void Hurry()
    {
        try
        {
            if (urgent.CurrentCount == 0) urgent.Release();
        }
        catch (Exception e) when (e is SemaphoreFullException or ObjectDisposedException)
        {
            // Somebody else was faster, or it is over.
        }
    }

    async Task RunAsync()
    {
        try
        {
            while (true)
            {
                await urgent.WaitAsync(Interval, stopping.Token);
                Write();
            }
        }
        catch (OperationCanceledException)
        {
            // It is stopped.
        }
    }

    void Write()
    {
        var now = databases();
        // That an idle database was looked at once more is no news.
        ReportedDatabase[] news = [.. now.Select(d => d with { LookedAt = null })];
        if (news.AsSpan().SequenceEqual(written)) return;
        new MirrorReport(Environment.ProcessId, time.GetUtcNow(), now).Write(directory);
        written = news;
    }

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await running;
        Write();
        stopping.Dispose();
    }
}
