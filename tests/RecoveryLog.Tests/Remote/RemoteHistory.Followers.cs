using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.Simulation;

namespace RecoveryVfs.RecoveryLog.Tests.Remote;

// Followers as actors of a history.
sealed partial class RemoteHistory
{
    const int FollowersMax = 2;

    readonly List<ToyFollower> followers = [];
    /// <summary>Dead ones, with what they had settled: the log goes on without them, and is collected.</summary>
    readonly List<ToyFollower> asleep = [];
    /// <summary>When the log came to reach an LSN.</summary>
    readonly List<(ulong LastLsn, DateTimeOffset At)> created = [];

    public int Promotions { get; private set; }
    public int Compared { get; private set; }
    public int StartedOver { get; private set; }

    async Task StepFollowersAsync()
    {
        if (followers.Count < FollowersMax && random.Next(3) == 0)
        {
            StartFollower(null);
            return;
        }
        if (asleep.Count > 0 && random.Next(isHasty ? 8 : 3) == 0)
        {
            followers.Add(asleep[0]);
            asleep[0].Start();
            asleep.RemoveAt(0);
            return;
        }
        if (followers.Count == 0) return;
        var follower = followers[random.Next(followers.Count)];
        switch (random.Next(6))
        {
            case 0: StartFollower(follower); break;
            case 3:
                asleep.Add(follower.AfterDeath());
                Forget(follower);
                break;
            case 1: if (random.Next(2) == 0) await PromoteAsync(); break;
            case 2: follower.Store.DieAt = follower.Store.Requests + random.Next(1, 20); break;
            default: Compare(follower); break;
        }
    }

    /// <summary>A new one, or the next life of one that dies.</summary>
    void StartFollower(ToyFollower? before)
    {
        var made = before?.AfterDeath()
            ?? new ToyFollower(NewStore, loop.Time, random, Scratch) { CaughtUp = CheckComplete };
        Forget(before);
        followers.Add(made);
        made.Start();
    }

    /// <summary>
    /// It has what was there when it looked. A listing may be old: what only that could tell is told by the next one.
    /// </summary>
    void CheckComplete(ToyFollower follower, DateTimeOffset looked)
    {
        var atLeast = created.Where(c => c.At < looked - faults.StaleBy).Select(c => c.LastLsn).DefaultIfEmpty().Max();
        if (follower.Has!.Lsn < atLeast)
            throw new Exception(
                $"A follower said at LSN {follower.Has.Lsn} that it has everything, and the log had reached {atLeast}");
    }

    void Forget(ToyFollower? follower)
    {
        if (follower is null) return;
        StartedOver += follower.StartedOver;
        followers.Remove(follower);
    }

    /// <summary>What a follower has is what the log says it was at that LSN.</summary>
    void Compare(ToyFollower follower)
    {
        // Between hints and their LSN it is no state of the log yet, and nobody is shown it.
        if (follower.Has is not { IsWhole: true } has) return;
        var expected = new ToyState();
        Replay((in Record r) => expected.Apply(r), has.Lsn);
        if (has.State.Describe() != expected.Describe())
            throw new Exception(
                $"A follower has at LSN {has.Lsn}:\n{has.State.Describe()}\ninstead of\n{expected.Describe()}");
        Compared++;
    }

    /// <summary>A follower becomes the writer, whether the old one is gone or not.</summary>
    async Task PromoteAsync()
    {
        var follower = followers[random.Next(followers.Count)];
        if (writer is not null) Depose();
        var atLeast = acknowledged;
        Forget(follower);
        try
        {
            if (await follower.PromoteAsync(NewAuthor()) is not { } promoted) return;
            if (promoted.Before.LastLsn < atLeast)
                throw new Exception(
                    $"LSN {atLeast} was acknowledged, and a follower was promoted at {promoted.Before.LastLsn}");
            // Somebody else may have taken over meanwhile.
            if (writer is not null) zombies.Add(writer);
            (writer, writerStore) = (promoted.Machine, follower.Store);
            Promotions++;
            Compare(follower);
        }
        catch (RecoveryException e) when (IsFair(e)) { }
        catch (Exception e) when (IsDeath(e)) { }
    }

    /// <summary>
    /// Without faults, and with a writer that ships everything, every follower comes to have all of it.
    /// </summary>
    async Task EndFollowersAsync()
    {
        foreach (var follower in followers.Where(f => f.Store.DieAt is not null).ToList()) StartFollower(follower);
        foreach (var follower in asleep)
        {
            followers.Add(follower);
            follower.Start();
        }
        foreach (var follower in followers) follower.Store.Faults = SimulatedFaults.None;
        await Pass(1200);
        foreach (var follower in followers.ToList())
        {
            Compare(follower);
            await follower.StopAsync();
            if (shadow.Count > 0 && follower.Has is { } has && zombies.Count == 0 && writer is null
                && has.Lsn != LastLsn() && hints.Count > 0)
                throw new Exception($"A follower stopped at LSN {has.Lsn}, and the log ends at {LastLsn()}");
            Forget(follower);
        }
    }
}
