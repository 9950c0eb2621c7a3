using System.Diagnostics;
using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>Readers of a directory that somebody else writes.</summary>
public sealed class RocksPageStoreReaderTests : IDisposable
{
    readonly TempDirectory temp = new();
    readonly History history = new(seed: 9);

    public void Dispose() => temp.Dispose();

    RocksPageStore OpenWriter()
        => RocksPageStore.Open(
            new() { Directory = temp["pages"], WriteBufferBytes = 128 << 10, GarbageShareMax = 0.2 });

    RocksPageStore OpenReader(string? directory = null)
        => RocksPageStore.Open(new() { Directory = directory ?? temp["pages"], Mode = RocksMode.ReadOnly });

    [Fact]
    public void A_reader_keeps_its_state_when_the_writer_deletes_all_its_files()
    {
        using var writer = OpenWriter();
        history.WriteTo(writer, 100);
        writer.Flush();
        using var reader = OpenReader(); // has read nothing yet
        var before = Directory.GetFiles(temp["pages"]);
        for (ulong lsn = 200; lsn <= 2000; lsn += 200)
        {
            history.WriteTo(writer, lsn);
            writer.Flush();
            writer.CollectGarbage(CancellationToken.None);
        }
        Assert.DoesNotContain(before.Where(f => f.EndsWith(".blob", StringComparison.Ordinal)), File.Exists);
        Assert.Equal(100ul, reader.Applied);
        history.Check(reader);
        using (var snapshot = reader.Snapshot())
            history.Check(reader, snapshot);
        Assert.True(reader.IsStale);
        using var newer = OpenReader();
        Assert.Equal(2000ul, newer.Applied);
        history.Check(newer);
    }

    [Fact]
    public void A_reader_finds_every_page_however_far_the_keys_are_compacted()
    {
        using var writer = OpenWriter();
        for (ulong lsn = 10; lsn <= 400; lsn += 10)
        {
            history.WriteTo(writer, lsn);
            writer.Flush();
            using var reader = OpenReader();
            Assert.Equal(lsn, reader.Applied);
            history.Check(reader);
        }
    }

    [Fact]
    public void A_reader_is_stale_when_the_writer_went_on_and_not_before()
    {
        using (var writer = OpenWriter())
        {
            history.WriteTo(writer, 10);
            writer.Flush();
        }
        using var reader = OpenReader();
        Assert.False(reader.IsStale);
        using (var writer = OpenWriter())
        {
            history.WriteTo(writer, 20);
            writer.Flush();
        }
        Assert.True(reader.IsStale);
    }

    [Fact]
    public void A_reader_cannot_write()
    {
        using (var writer = OpenWriter())
        {
            history.WriteTo(writer, 10);
            writer.Flush();
        }
        using var reader = OpenReader();
        Assert.Equal(RecoveryError.ReadOnly, Assert.Throws<RecoveryException>(() => history.Write(reader, 11)).Error);
        Assert.Equal(RecoveryError.ReadOnly, Assert.Throws<RecoveryException>(reader.Flush).Error);
        Assert.Equal((10ul, 10ul), (reader.Applied, reader.PersistedApplied));
        Assert.Equal(0, reader.UnflushedBytes);
        Assert.True(reader.Statistics()["blob_files"] > 0);
        history.Check(reader);
    }

    [Fact]
    public void Readers_open_whole_states_beside_a_writer_in_another_process()
    {
        using var writer =
            Process.Start(
            new ProcessStartInfo("dotnet",
            [typeof(KilledWriter).Assembly.Location, nameof(KilledWriter), temp["pages"]])
            {
                RedirectStandardOutput = true,
            })!;
        try
        {
            ulong persisted = 0;
            for (var round = 0; round < 40; round++)
            {
                // The writer goes on as far as the pipe has room for; each line is a state to be seen at least.
                for (var lines = 0; lines < 5; lines++)
                    persisted = ulong.Parse(writer.StandardOutput.ReadLine()!);
                using var reader = OpenReader();
                Assert.True(reader.Applied >= persisted, $"{reader.Applied} < {persisted}");
                KilledWriter.History.Check(reader);
            }
            Assert.True(persisted > 0);
        }
        finally
        {
            writer.Kill();
        }
    }
}
