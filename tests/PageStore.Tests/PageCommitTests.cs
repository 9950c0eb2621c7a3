using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>How pages are written into the log: hashes, differences, the parts of a commit.</summary>
public sealed class PageCommitTests
{
    static byte[] Bytes(Random random, int length)
    {
        var bytes = new byte[length];
        random.NextBytes(bytes);
        return bytes;
    }

    [Fact]
    public void XxHash64_is_that_of_System_IO_Hashing()
    {
        var random = new Random(64);
        for (var length = 0; length < 5000; length += random.Next(1, 8))
        {
            var bytes = new byte[length];
            random.NextBytes(bytes);
            var seed = length % 3 == 0 ? 0 : (ulong)random.NextInt64();
            Assert.Equal(System.IO.Hashing.XxHash64.HashToUInt64(bytes, (long)seed), XxHash64.Compute(bytes, seed));
        }
    }

    [Fact]
    public void XxHash64_has_its_known_values()
    {
        Assert.Equal(0xEF46DB3751D8E999ul, XxHash64.Compute([]));
        Assert.Equal(0xD24EC4F1A98C6E5Bul, XxHash64.Compute("a"u8));
        Assert.Equal(0x44BC2CF5AD770999ul, XxHash64.Compute("abc"u8));
        Assert.Equal(0x0B242D361FDA71BCul, XxHash64.Compute("The quick brown fox jumps over the lazy dog"u8));
        // The reference implementation's sanity buffer, with both of its seeds.
        var buffer = new byte[222];
        ulong generator = 2654435761;
        for (var i = 0; i < buffer.Length; i++)
        {
            buffer[i] = (byte)(generator >> 56);
            generator *= 11400714785074694797;
        }
        Assert.Equal(0xE934A84ADB052768ul, XxHash64.Compute(buffer.AsSpan(0, 1)));
        Assert.Equal(0x5014607643A9B4C3ul, XxHash64.Compute(buffer.AsSpan(0, 1), 2654435761));
        Assert.Equal(0x8282DCC4994E35C8ul, XxHash64.Compute(buffer.AsSpan(0, 14)));
        Assert.Equal(0xB641AE8CB691C174ul, XxHash64.Compute(buffer.AsSpan(0, 222)));
        Assert.Equal(0x20CB8AB7AE10C14Aul, XxHash64.Compute(buffer.AsSpan(0, 222), 2654435761));
    }

    static byte[] Changed(Random random, byte[] page)
    {
        var changed = (byte[])page.Clone();
        for (var i = random.Next(12); i > 0; i--)
        {
            var at = random.Next(page.Length);
            random.NextBytes(
                changed.AsSpan(at, Math.Min(random.Next(1, random.Next(2) == 0 ? 6 : 90), page.Length - at)));
        }
        return changed;
    }

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void A_delta_makes_the_new_page_of_the_old_one_and_is_idempotent()
    {
        Seeds.Run(2000, random =>
        {
            var older = Bytes(random, random.Next(4) == 0 ? random.Next(1, 200) : 1 << random.Next(9, 17));
            var newer = random.Next(20) == 0 ? Bytes(random, older.Length) : Changed(random, older);
            var delta = new byte[random.Next(3) == 0 ? random.Next(older.Length + 1) : older.Length + 20];
            if (!PageDelta.TryEncode(older, newer, delta, out var written))
                return;
            Assert.True(written <= Math.Max(older.Length / 2, 1));
            Assert.True(PageDelta.TryMeasure(delta, older.Length, out var measured));
            Assert.Equal(written, measured);
            var page = (byte[])older.Clone();
            PageDelta.Apply(delta.AsSpan(0, written), page);
            Assert.Equal(newer, page);
            PageDelta.Apply(delta.AsSpan(0, written), page);
            Assert.Equal(newer, page);
            Assert.False(PageDelta.TryMeasure(delta.AsSpan(0, written - 1), older.Length, out _));
        });
    }

    [Fact]
    public void Few_changed_bytes_take_few_bytes_and_many_are_given_up()
    {
        var older = Bytes(new Random(1), 4096);
        var newer = (byte[])older.Clone();
        newer[0] ^= 1;
        newer[4095] ^= 1;
        newer[2000] ^= 1;
        newer[2003] ^= 1; // near enough to be one range
        var delta = new byte[4096];
        Assert.True(PageDelta.TryEncode(older, newer, delta, out var written));
        Assert.Equal(1 + (2 + 1) + (3 + 4) + (3 + 1), written);
        Assert.True(PageDelta.TryEncode(older, older, delta, out written));
        Assert.Equal(1, written);
        Assert.False(PageDelta.TryEncode(older, Bytes(new Random(2), 4096), delta, out _));
        Assert.False(PageDelta.TryEncode(older, new byte[512], delta, out _));
    }

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void A_commit_part_gives_back_its_pages()
    {
        Seeds.Run(300, random =>
        {
            using var writer = new PageCommitWriter();
            for (var part = 0; part < 3; part++)
            {
                var pageSize = 1 << random.Next(9, 17);
                var pages = new List<(uint Page, byte[] Old, byte[] New)>();
                writer.Begin(7);
                uint page = 0;
                for (var i = random.Next(20); i > 0; i--)
                {
                    page += (uint)random.Next(1, random.Next(3) == 0 ? 100_000_000 : 3);
                    var old = Bytes(random, pageSize);
                    var fresh = random.Next(4) switch
                    {
                        0 => new byte[pageSize],
                        1 => Bytes(random, random.Next(1, pageSize + 1)),
                        _ => Changed(random, old)
                    };
                    pages.Add((page, old, fresh));
                    writer.AddPage(page, fresh, random.Next(3) == 0 ? default : old);
                }
                Assert.Equal((uint)pages.Count, writer.Count);
                var size = writer.SizeBytes;
                var body = writer.Finish(pageSize, 1L << 40, 0xFEDCBA9876543210, PageCommitFlags.LastPart);
                Assert.Equal(size, body.Length);
                var commit = PageCommit.Read(body, 5);
                Assert.Equal((7u, pageSize, 1L << 40, 0xFEDCBA9876543210, true, false),
                    (commit.Database, commit.PageSize, commit.SizeBytes, commit.Checksum, commit.IsLastPart,
                    commit.IsRebase));
                var n = 0;
                foreach (var change in commit)
                {
                    var (number, old, fresh) = pages[n++];
                    Assert.Equal(number, change.Page);
                    var target = change.Form == PageForm.Ranges ? (byte[])old.Clone() : Bytes(random, change.Length);
                    change.ApplyTo(target);
                    Assert.Equal(fresh, target);
                }
                Assert.Equal(pages.Count, n);
            }
        });
    }

    static void Walk(ReadOnlySpan<byte> body)
    {
        var commit = PageCommit.Read(body, 1);
        foreach (var change in commit)
            change.ApplyTo(new byte[change.Length]);
    }

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Bytes_that_are_not_a_commit_part_are_reported()
    {
        using var writer = new PageCommitWriter();
        Seeds.Run(3000, random =>
        {
            writer.Begin(1);
            for (uint page = 1; page <= 4; page++)
            {
                var old = Bytes(random, 512);
                writer.AddPage(page, page == 3 ? new byte[512] : Changed(random, old), page == 1 ? default : old);
            }
            var body = writer.Finish(512, 2048, 0, 0).ToArray();
            Walk(body);
            Assert.Equal(RecoveryError.Corrupt,
                Assert.Throws<RecoveryException>(() => Walk(body.AsSpan(0, random.Next(body.Length)))).Error);
            Assert.Equal(RecoveryError.Corrupt, Assert.Throws<RecoveryException>(() => Walk([.. body, 0])).Error);
            for (var i = random.Next(1, 5); i > 0; i--)
                body[random.Next(body.Length)] = (byte)random.Next(256);
            var before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                Walk(body);
            }
            catch (RecoveryException e) when (e.Error == RecoveryError.Corrupt)
            {
            }
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 64 << 20);
            try
            {
                Walk(Bytes(random, random.Next(200)));
            }
            catch (RecoveryException e) when (e.Error == RecoveryError.Corrupt)
            {
            }
        });
    }

    [Fact]
    public void Encoding_a_commit_allocates_nothing_once_warm()
    {
        using var writer = new PageCommitWriter();
        var old = Bytes(new Random(1), 4096);
        var fresh = Changed(new Random(2), old);
        void Encode()
        {
            writer.Begin(1);
            for (uint page = 1; page < 50; page++)
                writer.AddPage(page, fresh, page % 2 == 0 ? old : default);
            writer.Finish(4096, 4096 * 50, 0, 0);
        }
        Encode();
        var before = GC.GetAllocatedBytesForCurrentThread();
        Encode();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }
}
