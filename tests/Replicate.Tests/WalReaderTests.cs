using System.Buffers.Binary;
using Microsoft.Data.Sqlite;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.Replicate.Wals;

namespace RecoveryVfs.Replicate.Tests;

/// <summary>
/// What we read in a WAL is what SQLite reads in it, whatever state the file is in. SQLite itself is the oracle: it
/// recovers a copy.
/// </summary>
public sealed class WalReaderTests
{
    static readonly int[] PageSizes = [512, 1024, 4096, 8192, 65536];

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Committed_pages_are_those_that_SQLite_recovers_from_damaged_torn_and_reused_files() => Seeds.Run(40,
        random =>
    {
        using var scratch = new Scratch();
        var pageSize = PageSizes[random.Next(PageSizes.Length)];
        using (var connection =
            scratch.Open("a.db", $"PRAGMA page_size={pageSize}", "PRAGMA journal_mode=WAL",
            "PRAGMA wal_autocheckpoint=0", "CREATE TABLE t(a INTEGER PRIMARY KEY, b)"))
        {
            for (var i = random.Next(1, 30); i > 0; i--) Change(connection, random);
            File.Copy(scratch.At("a.db"), scratch.At("b.db"));
            File.Copy(scratch.At("a.db-wal"), scratch.At("b.db-wal"));
        }
        var wal = File.ReadAllBytes(scratch.At("b.db-wal"));
        if (random.Next(3) == 0) wal = AsBigEndian(wal, pageSize);
        Damage(ref wal, random);
        File.WriteAllBytes(scratch.At("b.db-wal"), wal);
        var ours = Recovered(scratch.At("b.db"), pageSize);
        Recover(scratch.At("b.db"));
        Assert.Equal(File.ReadAllBytes(scratch.At("b.db")), ours);
    });

    /// <summary>
    /// As SQLite does it. What is left need not be a whole database: a part may have been checkpointed, and the rest
    /// damaged. So its schema is not asked for.
    /// </summary>
    static void Recover(string path)
    {
        using var oracle = new SqliteConnection($"Data Source={path};Pooling=False");
        oracle.Open();
        oracle.Run("PRAGMA writable_schema=ON");
        oracle.Run("PRAGMA wal_checkpoint(TRUNCATE)");
    }

    static void Change(SqliteConnection connection, Random random)
    {
        connection.Run(random.Next(8) switch
        {
            0 => "PRAGMA wal_checkpoint(PASSIVE)",
            1 => "PRAGMA wal_checkpoint(RESTART)",
            2 => "DELETE FROM t WHERE a % 3 = 0",
            3 => "VACUUM",
            4 => "BEGIN; INSERT INTO t(b) VALUES (randomblob(3000)); ROLLBACK",
            _ => $"INSERT INTO t(b) SELECT randomblob({random.Next(1, 4000)}) FROM (VALUES (1),(2),(3))",
        });
    }

    static void Damage(ref byte[] wal, Random random)
    {
        if (wal.Length == 0) return;
        switch (random.Next(5))
        {
            case 0: Array.Resize(ref wal, random.Next(wal.Length)); break;
            case 1:
                for (var i = random.Next(1, 4); i > 0;
                i--) wal[random.Next(wal.Length)] ^= (byte)(1 << random.Next(8)); break;
            case 2: wal.AsSpan(random.Next(wal.Length)).Clear(); break;
            case 3: wal = [.. wal, .. wal[..random.Next(wal.Length)]]; break;
        }
    }

    /// <summary>The same WAL as a machine of the other byte order writes it.</summary>
    static byte[] AsBigEndian(byte[] wal, int pageSize)
    {
        if (WalHeader.TryParse(wal) is not { } header) return wal;
        var made = (byte[])wal.Clone();
        BinaryPrimitives.WriteUInt32BigEndian(made, 0x377f0683);
        var checksum = default(WalChecksum).Then(made.AsSpan(0, 24), bigEndian: true);
        Write(made.AsSpan(24), checksum);
        for (var at = WalHeader.SizeBytes; at + WalFrame.HeaderBytes + pageSize <= made.Length;
            at += WalFrame.HeaderBytes + pageSize)
        {
            var frame = made.AsSpan(at, WalFrame.HeaderBytes + pageSize);
            if (WalSalt.Read(frame[8..]) != header.Salt) break;
            checksum = checksum.Then(frame[..8], true).Then(frame[WalFrame.HeaderBytes..], true);
            Write(frame[16..], checksum);
        }
        return made;

        static void Write(Span<byte> to, WalChecksum checksum)
        {
            BinaryPrimitives.WriteUInt32BigEndian(to, checksum.First);
            BinaryPrimitives.WriteUInt32BigEndian(to[4..], checksum.Second);
        }
    }

    static byte[] Recovered(string path, int pageSize)
    {
        var database = File.ReadAllBytes(path);
        using var file = LocalDisk.Instance.Open(path + "-wal", LogFileMode.Read);
        var reader = new WalReader(file);
        var pages = WalPages.Read(reader);
        if (pages.SizePages == 0) return database;
        var made = new byte[pages.SizePages * (long)pageSize];
        database.AsSpan(0, Math.Min(database.Length, made.Length)).CopyTo(made);
        for (var page = 1u; page <= pages.SizePages; page++)
            if (pages.OffsetOf(page) is { } offset)
                Assert.Equal(pageSize, file.Read(offset, made.AsSpan((int)(page - 1) * pageSize, pageSize)));
        return made;
    }

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Any_bytes_are_read_without_an_error_and_within_the_file() => Seeds.Run(200, random =>
    {
        using var scratch = new Scratch();
        var bytes = new byte[random.Next(5000)];
        random.NextBytes(bytes);
        if (random.Next(2) == 0 && bytes.Length >= WalHeader.SizeBytes)
        {
            // A header that verifies, so that what follows is looked at.
            new byte[] { 0x37, 0x7f, 0x06, 0x82, 0, 0x2d, 0xe2, 0x18, 0, 0, 2, 0 }.CopyTo(bytes, 0);
            var checksum = default(WalChecksum).Then(bytes.AsSpan(0, 24), bigEndian: false);
            BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(24), checksum.First);
            BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(28), checksum.Second);
            Assert.NotNull(WalHeader.TryParse(bytes));
        }
        File.WriteAllBytes(scratch.At("any"), bytes);
        using var file = LocalDisk.Instance.Open(scratch.At("any"), LogFileMode.Read);
        Assert.Equal(0, WalPages.Read(new WalReader(file)).Commits);
    });
}
