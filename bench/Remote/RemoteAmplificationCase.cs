using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.Bench;

/// <summary>
/// Bytes shipped for each byte of changed pages in a busy hour's transactions, done as fast as they go: updates,
/// inserts and deletes all over a database, hints and collection of garbage included. The shares: the log, then extents
/// that flushes and compactions made.
/// </summary>
internal sealed class RemoteAmplificationCase : Case
{
    const int PageBytes = 4096;

    // A quick run has a twelfth of everything: the database, the log between hints (256 MB by default), the
    // transactions.
    const string QuickHintsBytes = "&hints-bytes=21M";

    public override IReadOnlyList<string> Names
        => ["remote-amplification", "remote-amplification: log", "remote-amplification: extents",
            "remote-amplification: rest"];

    public override void Run(Place place, Report report)
    {
        var side = new RemoteSide(place.Ours.PathOf("store"), new Uri(place.Ours.PathOf("remote")).AbsoluteUri);
        var more = place.Quick ? QuickHintsBytes : "";
        var rows = side.Fill(place.Pick(200, 16), more);
        using var connection = side.Open(more: more, synchronous: "OFF");
        connection.Do("CREATE INDEX i ON t(substr(v, 1, 12))");
        connection.Do("PRAGMA recovery_sync");
        using var update = connection.Prepare("UPDATE t SET v=? WHERE id=?");
        using var insert = connection.Prepare("INSERT INTO t(v) VALUES(?)");
        using var delete = connection.Prepare("DELETE FROM t WHERE id=?");
        var (text, random) = (new Text(8), new Random(8));
        var (before, pages) = (RemoteSide.Sent(connection), RemoteSide.Status(connection, "commit_pages"));
        for (var transactions = place.Pick(3_000_000, 250_000); transactions > 0; transactions--)
        {
            connection.Do("BEGIN");
            for (var i = random.Next(1, 8); i > 0; i--)
                switch (random.Next(10))
                {
                    case < 7: update.Bind(1, text.Take(110)).Bind(2, random.Next(rows) + 1).First(); break;
                    case < 9: insert.Bind(1, text.Take(110)).First(); break;
                    default: delete.Bind(1, random.Next(rows) + 1).First(); break;
                }
            connection.Do("COMMIT");
        }
        connection.Do("PRAGMA recovery_sync");
        var after = RemoteSide.Sent(connection);
        double changed = (RemoteSide.Status(connection, "commit_pages") - pages) * PageBytes;
        var (log, extents, rest) =
            ((after.Log - before.Log) / changed, (after.Extents - before.Extents) / changed,
            (after.Other - before.Other) / changed);
        report.AddCost("remote-amplification", "bytes a byte (stock: the goal)", log + extents + rest, 0.3, 1.0);
        report.AddCost("remote-amplification: log", "bytes a byte", log, 0.3, null);
        report.AddCost("remote-amplification: extents", "bytes a byte", extents, 0.3, null);
        report.AddCost("remote-amplification: rest", "bytes a byte", rest, 0.3, null);
    }
}
