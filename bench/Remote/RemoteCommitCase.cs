using System.Diagnostics;

namespace RecoveryVfs.Bench;

/// <summary>What a remote costs a commit that does not wait for it: stores with one and without, in turns.</summary>
internal sealed class RemoteCommitCase : Case
{
    public override IReadOnlyList<string> Names => ["remote-commit-async", "remote-commit-async: OFF"];

    public override void Run(Place place, Report report)
    {
        Compare(place, report, "remote-commit-async", "FULL", place.Pick(5_000, 1_500));
        Compare(place, report, "remote-commit-async: OFF", "OFF", place.Pick(60_000, 15_000));
    }

    static void Compare(Place place, Report report, string name, string synchronous, int count)
    {
        var with = new RemoteSide(place.Ours.PathOf("with-" + synchronous), RemoteServer.NewDirectoryUrl());
        var without = new RemoteSide(place.Ours.PathOf("without-" + synchronous), "none");
        using var withConnection = with.Open(synchronous: synchronous);
        using var withoutConnection = without.Open(synchronous: synchronous);
        foreach (var connection in (Connection[])[withConnection, withoutConnection])
            connection.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
        using var withInsert = withConnection.Prepare("INSERT INTO t(v) VALUES(?)");
        using var withoutInsert = withoutConnection.Prepare("INSERT INTO t(v) VALUES(?)");
        var text = new Text(1);

        double Rate(Statement insert)
        {
            var started = Stopwatch.GetTimestamp();
            for (var i = 0; i < count; i++) insert.Bind(1, text.Take(100)).First();
            return count / Stopwatch.GetElapsedTime(started).TotalSeconds;
        }

        Rate(withInsert);
        Rate(withoutInsert);
        var rounds = place.Rounds(11, 9);
        var (ours, none) = (new double[rounds], new double[rounds]);
        for (var round = 0; round < rounds; round++)
        {
            if (round % 2 == 0) ours[round] = Rate(withInsert);
            none[round] = Rate(withoutInsert);
            if (round % 2 != 0) ours[round] = Rate(withInsert);
        }
        report.AddRate(name, "commits/s (stock: ours without a remote)", Interleaved.Median(ours),
            Interleaved.Median(none), 0.9);
    }
}
