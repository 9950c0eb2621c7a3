using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.Bench;

/// <summary>
/// Bytes shipped for updates of one row each, all objects counted: gathered by the interval, and each waited for.
/// </summary>
internal sealed class RemoteBytesCase : Case
{
    const double BytesMax = 400;

    public override IReadOnlyList<string> Names => ["remote-bytes", "remote-bytes: each waited for"];

    public override void Run(Place place, Report report)
    {
        var side = new RemoteSide(place.Ours.Directory, RemoteServer.NewUrl());
        var rows = side.Fill(place.Pick(100, 25));
        report.AddCost("remote-bytes", "bytes an update (stock: the goal)",
            Mean(side, rows, place.Pick(10_000, 3_000), 6, ""), BytesMax, 1.0);
        report.AddCost("remote-bytes: each waited for", "bytes an update (stock: the goal)",
            Mean(side, rows, place.Pick(10_000, 1_000), 7, "&durability=remote"), BytesMax, 1.0);
    }

    static double Mean(RemoteSide side, int rows, int count, int seed, string more)
    {
        var (text, random) = (new Text(seed), new Random(seed));
        using var connection = side.Open(more: more);
        using var update = connection.Prepare("UPDATE t SET v=? WHERE id=?");
        connection.Do("PRAGMA recovery_sync");
        var before = RemoteSide.Sent(connection);
        // Text that is not there already: SQLite does not write what is the same.
        for (var i = 0; i < count; i++) update.Bind(1, text.Take(110)).Bind(2, random.Next(rows) + 1).First();
        connection.Do("PRAGMA recovery_sync");
        var after = RemoteSide.Sent(connection);
        return (double)(after.Log + after.Extents + after.Other - before.Log - before.Extents - before.Other) / count;
    }
}
