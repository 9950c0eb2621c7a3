using System.Diagnostics;
using RecoveryVfs.Operations;

namespace RecoveryVfs.Cli;

/// <summary>
/// One line on a terminal's standard error: how much is done, how fast, and how long it will take. Silent elsewhere.
/// </summary>
internal sealed class Progress : IStepProgress
{
    static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(200);
    const int UsualColumns = 80;

    readonly string what;
    readonly long totalBytes;
    readonly long started = Stopwatch.GetTimestamp();
    readonly Timer? timer;
    readonly Lock gate = new();
    long doneBytes;
    bool ended;

    /// <summary>Shows what is done; without a total (0) only how long it has taken.</summary>
    public Progress(string what, long totalBytes = 0)
    {
        (this.what, this.totalBytes) = (what, totalBytes);
        if (Console.IsErrorRedirected) return;
        Show();
        timer = new Timer(_ => Show(), null, Interval, Interval);
    }

    /// <summary>Shows a step of an operation.</summary>
    public static IStepProgress Begin(string step, long totalBytes) => new Progress(step, totalBytes);

    /// <summary>Counts; from any thread.</summary>
    public void Add(long bytes) => Interlocked.Add(ref doneBytes, bytes);

    /// <summary>How much is done, for whoever counts in something else than bytes.</summary>
    public void Reach(int done, int of) => Volatile.Write(ref percent, of <= 0 ? 0 : (int)(100L * done / of));

    int percent = -1;

    void Show()
    {
        lock (gate)
            // A line that wraps cannot be taken back.
            if (!ended) Console.Error.Write($"\r{Printable.Fit(Line(), Columns() - 1)}\e[K");
    }

    string Line()
    {
        var taken = Stopwatch.GetElapsedTime(started);
        if (Volatile.Read(ref percent) is not (>= 0 and var share))
            return Line(what, Interlocked.Read(ref doneBytes), totalBytes, taken);
        return totalBytes > 0
            ? Line(what, totalBytes * share / 100, totalBytes, taken)
            : $"{what} {share,3}%  {Text.Duration(taken)}";
    }

    /// <summary>The most important first, so that a narrow terminal shows it.</summary>
    internal static string Line(string what, long done, long total, TimeSpan taken)
    {
        if (total <= 0) return $"{what}  {Text.Duration(taken)}";
        var rate = done / Math.Max(taken.TotalSeconds, 0.001);
        var left = rate > 0 && done < total
            ? "  " + Text.Duration(TimeSpan.FromSeconds((total - done) / rate)) + " left"
            : "";
        return $"{what} {Math.Min(100, done * 100 / total),3}%{left}  {Text.Bytes(done)} of {Text.Bytes(total)}  "
            + $"{Text.Bytes((long)rate)}/s";
    }

    static int Columns()
    {
        try
        {
            return Console.WindowWidth is var width and > 1 ? width : UsualColumns;
        }
        catch (IOException)
        {
            return UsualColumns;
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
