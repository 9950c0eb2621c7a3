using System.Buffers.Binary;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;
using static RecoveryVfs.RecoveryLog.Tests.LogTesting;

namespace RecoveryVfs.RecoveryLog.Tests;

public sealed class FormatTests
{
    [Fact]
    public void Crc32C_has_its_known_values_at_every_length()
    {
        Assert.Equal(0xE3069283u, Crc32C.Compute("123456789"u8));
        Assert.Equal(0x8A9136AAu, Crc32C.Compute(new byte[32]));
        var random = new Random(1);
        var bytes = Bytes(random, 40_000);
        foreach (var length in Enumerable.Range(0, 300).Concat([3071, 3072, 3073, 6144, 9999, 40_000]))
        {
            var slow = 0xFFFFFFFFu;
            foreach (var b in bytes.AsSpan(0, length))
            {
                slow ^= b;
                for (var i = 0; i < 8; i++)
                    slow = (slow >> 1) ^ ((slow & 1) * 0x82F63B78u);
            }
            Assert.Equal(~slow, Crc32C.Compute(bytes.AsSpan(0, length)));
            var cut = random.Next(length + 1);
            Assert.Equal(~slow, Crc32C.Compute(bytes.AsSpan(cut, length - cut), Crc32C.Compute(bytes.AsSpan(0, cut))));
        }
    }

    [Fact]
    public void The_formats_are_what_the_documentation_says()
    {
        // Written out by hand: a change of any of these bytes is a change of format.
        var record = new byte[RecordFormat.SizeOf(5)];
        RecordFormat.Write(record, 0x12345678, 0x0102030405060708, RecordKind.FileDeleted, 1, 0x0000AABBCCDDEEFF, 9,
            "hello"u8);
        Assert.Equal("05000000", Convert.ToHexString(record.AsSpan(0, 4)));
        Assert.Equal("0807060504030201" + "FFEEDDCCBBAA0801" + "09000000" + "68656C6C6F000000",
            Convert.ToHexString(record.AsSpan(8)));
        Assert.Equal(Crc32C.Compute(record.AsSpan(8), Crc32C.Compute(record.AsSpan(0, 4), 0x12345678)),
            BinaryPrimitives.ReadUInt32LittleEndian(record.AsSpan(4)));

        var header = new byte[64];
        SegmentFormat.Write(header, new SegmentHeader(Id, 3, 4, 5));
        Assert.Equal("525646534C4F470A" + "01000000" + "00000000" + "00112233445566778899AABBCCDDEEFF"
            + "0300000000000000" + "0400000000000000" + "0500000000000000" + "00000000",
            Convert.ToHexString(header.AsSpan(0, 60)));
        Assert.Equal(new SegmentHeader(Id, 3, 4, 5), SegmentFormat.Read(header, "x"));
        Assert.Equal(Crc32C.Compute(header.AsSpan(16, 40)), new SegmentHeader(Id, 3, 4, 5).Seed);
    }
}
