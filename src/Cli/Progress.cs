using System.Diagnostics;

namespace RecoveryVfs.Cli;

/// <summary>One line on a terminal's standard error: how much is done, how fast, and how long it will take. Silent elsewhere.</summary>
internal sealed class Progress : IDisposable
{
    static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(200);

    readonly string what;
    readonly long totalBytes;
    readonly long started = Stopwatch.GetTimestamp();
    readonly Timer? timer;
    readonly Lock gate = new();
    long doneBytes;
    bool ended;

    public Progress(string what, long totalBytes)
    {
        (this.what, this.totalBytes) = (what, totalBytes);
        if (!Console.IsErrorRedirected) timer = new Timer(_ => Show(), null, Interval, Interval);
    }

    /// <summary>Counts; from any thread.</summary>
    public void Add(long bytes) => Interlocked.Add(ref doneBytes, bytes);

    void Show()
    {
        lock (gate)
        {
            if (ended) return;
            var done = Interlocked.Read(ref doneBytes);
            var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
            var rate = done / Math.Max(seconds, 0.001);
            var left = rate > 0 && done < totalBytes ? ", " + Text.Duration(TimeSpan.FromSeconds((totalBytes - done) / rate)) + " left" : "";
            var percent = totalBytes > 0 ? Math.Min(100, done * 100 / totalBytes) : 100;
            Console.Error.Write($"\r{what} {percent,3}%  {Text.Bytes(done)} of {Text.Bytes(totalBytes)}  {Text.Bytes((long)rate)}/s{left}\e[K");
        }
    }

    public void Dispose()
    {
        lock (gate)
        {
            ended = true;
            if (timer is null) return;
            timer.Dispose();
            Console.Error.Write("\r\e[K");
        }
    }
}
