using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;

namespace RecoveryVfs.Testing;

/// <summary>
/// Where random tests get their seeds from. A failure names its seed, and RECOVERY_SEED runs just that one. With
/// RECOVERY_SOAK_SECONDS (set by ./build.sh soak) every seed is fresh and a test takes one after the other for that
/// long; RECOVERY_SOAK_LOG names a file that gets a line before each of the long ones, so that even a process that died
/// tells its seed. Tests that take part carry <c>[Trait(Seeds.Kind, Seeds.Random)]</c>.
/// </summary>
internal static class Seeds
{
    /// <summary>The trait by which ./build.sh tells tests apart.</summary>
    public const string Kind = "Kind", Random = "Random";

    /// <summary>Of tests that are too long for ./build.sh test; ./build.sh soak runs them once.</summary>
    public const string Big = "Big";

    static readonly double soakSeconds =
        double.Parse(Environment.GetEnvironmentVariable("RECOVERY_SOAK_SECONDS") ?? "0", CultureInfo.InvariantCulture);

    static readonly string? log = Environment.GetEnvironmentVariable("RECOVERY_SOAK_LOG");

    static readonly int? given = int.TryParse(Environment.GetEnvironmentVariable("RECOVERY_SEED"), out var seed)
        ? seed
        : null;

    public static bool Soaking => soakSeconds > 0;

    /// <summary>A seed that nobody has tried.</summary>
    static int Fresh => System.Random.Shared.Next(1_000_000, int.MaxValue);

    /// <summary>
    /// Under <paramref name="count"/> seeds: the first are always the same, the last is new each time.
    /// </summary>
    public static void Run(int count, Action<Random> test)
    {
        var started = Stopwatch.GetTimestamp();
        for (var i = 0; i == 0 || (given is null && More(started, i < count)); i++)
            Try(Soaking || i == count - 1 ? Fresh : i + 1, seed => test(new Random(seed)));
    }

    /// <summary>Under one fresh seed: for tests that use their fixture up.</summary>
    public static void Once(Action<Random> test, [CallerMemberName] string name = "")
        => Try(Fresh, seed => test(new Random(seed)), name);

    /// <inheritdoc cref="Once"/>
    public static async Task OnceAsync(Func<Random, Task> test, [CallerMemberName] string name = "")
    {
        var seed = Chosen(Fresh, name);
        try
        {
            await test(new Random(seed));
        }
        catch (Exception e)
        {
            throw Failed(seed, e);
        }
    }

    /// <summary>
    /// For <paramref name="seconds"/> (while soaking, <paramref name="soakTimes"/> times the time of a test):
    /// <paramref name="first"/> and the seeds after it. The test gets the end as <see cref="Environment.TickCount64"/>,
    /// should one run outlast it.
    /// </summary>
    public static void RunFor(double seconds, int first, Action<int, long> test, double soakTimes = 1,
        [CallerMemberName] string name = "")
    {
        var end = Environment.TickCount64 + (long)(1000 * (Soaking ? soakSeconds * soakTimes : seconds));
        if (Soaking) first = Fresh;
        do Try(first++, seed => test(seed, end), name);
        while (given is null && Environment.TickCount64 < end);
    }

    static bool More(long started, bool otherwise) => Soaking
        ? Stopwatch.GetElapsedTime(started).TotalSeconds < soakSeconds
        : otherwise;

    static int Chosen(int seed, string? name)
    {
        seed = given ?? seed;
        if (log is not null && name is not null)
            lock (typeof(Seeds))
                File.AppendAllText(log,
                    $"{DateTime.UtcNow:HH:mm:ss} process {Environment.ProcessId} {name} RECOVERY_SEED={seed}\n");
        return seed;
    }

    static void Try(int seed, Action<int> test, string? name = null)
    {
        seed = Chosen(seed, name);
        try
        {
            test(seed);
        }
        catch (Exception e)
        {
            throw Failed(seed, e);
        }
    }

    static Exception Failed(int seed, Exception e)
        => new InvalidOperationException($"Failed with seed {seed}; run again with RECOVERY_SEED={seed}.\n{e}", e);
}
