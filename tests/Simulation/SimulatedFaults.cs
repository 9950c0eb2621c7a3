namespace RecoveryVfs.Simulation;

/// <summary>How an object store, and the way to it, misbehave. Chances are from 0 to 1, per request.</summary>
internal sealed record SimulatedFaults
{
    /// <summary>None at all.</summary>
    public static readonly SimulatedFaults None = new();

    /// <summary>The request is refused: 503 SlowDown.</summary>
    public double Refuse { get; init; }

    /// <summary>A write is lost on its way, and the client only sees a time-out.</summary>
    public double LoseRequest { get; init; }

    /// <summary>A write is carried out, and the answer is lost.</summary>
    public double LoseAnswer { get; init; }

    /// <summary>The client sees a time-out, and the write is carried out later, up to <see cref="LateBy"/>.</summary>
    public double Late { get; init; }

    /// <summary>How late a late write may be.</summary>
    public TimeSpan LateBy { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>A read ends early.</summary>
    public double Truncate { get; init; }

    /// <summary>A listing is old, by up to <see cref="StaleBy"/>.</summary>
    public double Stale { get; init; }

    /// <summary>How old a listing may be.</summary>
    public TimeSpan StaleBy { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>The longest time that a request takes.</summary>
    public TimeSpan MaxLatency { get; init; }

    /// <summary>A storm begins, in which everything is refused for up to <see cref="StormFor"/>.</summary>
    public double Storm { get; init; }

    /// <summary>How long a storm may last.</summary>
    public TimeSpan StormFor { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>A bit of everything, drawn from a seed.</summary>
    public static SimulatedFaults Draw(Random random)
    {
        double Chance(double most) => random.Next(3) == 0 ? 0 : random.NextDouble() * most;
        return new SimulatedFaults
        {
            Refuse = Chance(0.2),
            LoseRequest = Chance(0.15),
            LoseAnswer = Chance(0.25),
            Late = Chance(0.1),
            Truncate = Chance(0.2),
            Stale = Chance(0.6),
            MaxLatency = TimeSpan.FromMilliseconds(random.Next(2000)),
            Storm = Chance(0.01),
        };
    }
}
