using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.Simulation;

namespace RecoveryVfs.RecoveryLog.Tests.Remote;

/// <summary>Bytes between two that work in turns: bounded, on one thread, and an error of either ends both.</summary>
public sealed class BytePipeTests
{
    const int PieceBytes = 50_000, Pieces = 100;

    [Fact]
    public void Whoever_gives_is_never_far_ahead_and_no_thread_is_switched()
    {
        var loop = new SimulationLoop();
        int thread = Environment.CurrentManagedThreadId;
        long given = 0, taken = 0, furthest = 0;
        var all = new List<byte>();
        loop.Run(async () =>
        {
            long total = await BytePipe.RunAsync(async to =>
            {
                for (int piece = 0; piece < Pieces; piece++)
                {
                    to.GetSpan(PieceBytes)[..PieceBytes].Fill((byte)piece);
                    to.Advance(PieceBytes);
                    given += PieceBytes;
                    furthest = Math.Max(furthest, given - taken);
                    await to.FlushAsync();
                    Assert.Equal(thread, Environment.CurrentManagedThreadId);
                }
                return given;
            }, async from =>
            {
                for (bool done = false; !done;)
                {
                    // A disk that is slower than the remote.
                    await Task.Delay(TimeSpan.FromSeconds(1), loop.Time);
                    Assert.Equal(thread, Environment.CurrentManagedThreadId);
                    var read = await from.ReadAsync();
                    foreach (var part in read.Buffer) all.AddRange(part.ToArray());
                    taken = all.Count;
                    from.AdvanceTo(read.Buffer.End);
                    done = read.IsCompleted;
                }
            });
            Assert.Equal((long)Pieces * PieceBytes, total);
        });
        Assert.Equal(given, taken);
        Assert.True(furthest < BytePipe.PauseBytes + 2 * PieceBytes, $"{furthest} bytes were on their way");
        for (int piece = 0; piece < Pieces; piece++)
            Assert.All(all.GetRange(piece * PieceBytes, PieceBytes), b => Assert.Equal((byte)piece, b));
    }

    [Fact]
    public async Task What_ends_whoever_takes_ends_whoever_gives()
    {
        int pieces = 0;
        var thrown = await Assert.ThrowsAsync<RecoveryException>(async () => await BytePipe.RunAsync(async to =>
        {
            for (; pieces < Pieces; pieces++)
            {
                to.Advance(to.GetSpan(PieceBytes)[..PieceBytes].Length);
                if ((await to.FlushAsync()).IsCompleted) return false;
            }
            return true;
        }, async from =>
        {
            await from.ReadAtLeastAsync(3 * PieceBytes);
            throw new RecoveryException(RecoveryError.Full, "No room");
        }));
        Assert.Equal(RecoveryError.Full, thrown.Error);
        Assert.InRange(pieces, 1, 10);
    }

    [Fact]
    public async Task What_ends_whoever_gives_is_what_is_said()
    {
        Exception? told = null;
        await Assert.ThrowsAsync<IOException>(async () => await BytePipe.RunAsync<int>(async to =>
        {
            to.Advance(to.GetSpan(PieceBytes).Length);
            await to.FlushAsync();
            throw new IOException("The connection broke");
        }, async from =>
        {
            try { await from.DrainAsync(_ => { }); }
            catch (Exception e)
            {
                told = e;
                throw new InvalidOperationException("afterwards", e);
            }
        }));
        Assert.IsType<IOException>(told);
    }

    [Fact]
    public async Task Blocks_are_whole_whatever_pieces_they_came_in()
    {
        var sizes = new List<int>();
        await BytePipe.RunAsync(async to =>
        {
            for (int piece = 0; piece < 1000; piece++)
            {
                to.Advance(to.GetSpan(1000)[..1000].Length);
                await to.FlushAsync();
            }
            return 0;
        }, from => from.DrainAsync(part => sizes.Add(part.Length)));
        Assert.Equal(1_000_000, sizes.Sum());
        Assert.True(sizes.Count <= 20, string.Join(", ", sizes));
    }
}
