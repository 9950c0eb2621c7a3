using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.Simulation;
using static RecoveryVfs.RecoveryLog.Tests.LogTesting;

namespace RecoveryVfs.RecoveryLog.Tests;

/// <summary>A clock that goes forward for a second and back: the log's times do not.</summary>
public sealed class LogClockTests
{
    sealed class SetClock : TimeProvider
    {
        public long Ms { get; set; } = 1_700_000_000_000;

        public override DateTimeOffset GetUtcNow() => DateTimeOffset.FromUnixTimeMilliseconds(Ms);
    }

    [Fact]
    public void Times_never_go_back_and_a_note_says_that_the_clock_did()
    {
        var (disk, clock) = (new PowerLossDisk(), new SetClock());
        var start = clock.Ms;
        using (var log = Open(disk, Small with { Time = clock }))
        {
            log.Append(RecordKind.PageCommit, Text("a"));
            clock.Ms += 3_600_000;
            log.Append(RecordKind.PageCommit, Text("b"));
            clock.Ms = start + 1_000;
            log.Append(RecordKind.PageCommit, Text("c"));
            log.Append(RecordKind.PageCommit, Text("d"));
            log.Sync(log.LastLsn);
        }
        // Not after a reopening, either.
        using (var log = Open(disk, Small with { Time = clock })) log.Append(RecordKind.PageCommit, Text("e"));
        clock.Ms = start + 7_200_000;
        using (var log = Open(disk, Small with { Time = clock })) log.Append(RecordKind.PageCommit, Text("f"));
        var times = new List<long>();
        var notes = new List<ClockNote>();
        LocalLog.Open(disk, Dir, Small, 1, (in Record r) =>
        {
            times.Add(r.UnixTimeMs);
            if (ClockNote.Read(r) is { } note) notes.Add(note);
        }).Dispose();
        Assert.Equal(times.Order(), times);
        Assert.Equal(start + 7_200_000, times[^1]);
        Assert.Contains(new ClockNote(start + 3_600_000, start + 1_000), notes);
    }

    [Fact]
    public void A_log_without_records_goes_on_from_the_time_that_it_is_given()
    {
        var (disk, clock) = (new PowerLossDisk(), new SetClock());
        using var log = Open(disk, Small with { Time = clock, NotBeforeMs = clock.Ms + 50 });
        log.Append(RecordKind.PageCommit, Text("a"));
        Assert.Equal(clock.Ms + 50, log.LastTimeMs);
        clock.Ms += 60;
        log.Append(RecordKind.PageCommit, Text("b"));
        Assert.Equal(clock.Ms, log.LastTimeMs);
    }
}
