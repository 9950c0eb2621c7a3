namespace RecoveryVfs.Rows.Tests;

/// <summary>Ways in which the bytes of a database go wrong.</summary>
internal static class Damage
{
    public static byte[] Some(Random random, byte[] file)
    {
        var bytes = file.ToArray();
        int named = (bytes[16] << 8) | bytes[17];
        var pageSize = named == 1 ? 65536 : named;
        for (var times = random.Next(1, 4); times > 0; times--) Once(random, bytes, pageSize);
        return random.Next(8) == 0 ? bytes[..((random.Next(bytes.Length / pageSize) + 1) * pageSize)] : bytes;
    }

    static void Once(Random random, byte[] bytes, int pageSize)
    {
        int AnyPage() => random.Next(bytes.Length / pageSize) * pageSize;
        var page = AnyPage();
        switch (random.Next(7))
        {
            case 0: // Bits anywhere.
                for (var i = random.Next(1, 8); i > 0; i--)
                    bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
                break;
            case 1: // Where a page says what it is and where its cells are.
                for (var i = random.Next(1, 4); i > 0; i--)
                    bytes[page + random.Next(Math.Min(pageSize, 40))] = (byte)random.Next(256);
                break;
            case 2: // A page in another's place.
                bytes.AsSpan(AnyPage(), pageSize).ToArray().CopyTo(bytes, page == 0 ? AnyPage() : page);
                break;
            case 3:
                bytes.AsSpan(page, pageSize).Slice(random.Next(pageSize)).Clear();
                break;
            case 4:
                random.NextBytes(bytes.AsSpan(page + random.Next(pageSize / 2), random.Next(1, pageSize / 2)));
                break;
            case 5: // Numbers that are huge.
                bytes.AsSpan(page + random.Next(pageSize - 9), random.Next(1, 9)).Fill(0xff);
                break;
            default: // A page number where another was.
                bytes[page + random.Next(pageSize - 1)] = (byte)random.Next(bytes.Length / pageSize + 1);
                break;
        }
    }
}
