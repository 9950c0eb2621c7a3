using RecoveryVfs.Operations;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.Cli.Tests;

/// <summary>Reading a log costs what is in it, however many databases there are.</summary>
public sealed class LogReadingTests
{
    [Fact]
    public void A_record_costs_the_same_among_ten_thousand_databases()
    {
        const int Databases = 10_000, Taken = 1_000;
        var reading = new LogReading();
        reading.Start(new Hints
        {
            LogId = Guid.NewGuid(),
            Epoch = 1,
            Lsn = 1,
            ReplayFrom = 1,
            NextFnode = 1,
            NextDatabaseId = Databases + 1,
            Files = [],
            Databases = [.. Enumerable.Range(1, Databases).Select(i => new LiveDatabase((uint)i, $"{i}.db"))],
        });
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 1u; i <= Taken; i++)
            reading.Take(
                new RecoveryLog.Records.Record(i + 1, RecordKind.DatabaseDeleted, 0, 0, 1, DatabaseRecords.Id(i)));
        var each = (GC.GetAllocatedBytesForCurrentThread() - before) / Taken;
        Assert.True(each < 4_000, $"{each} bytes were allocated a record");
        Assert.Equal(Databases - Taken, reading.Databases.Count());
    }
}
