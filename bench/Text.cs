using System.Text;

namespace RecoveryVfs.Bench;

/// <summary>
/// Text that is about as compressible as people's: sentences of a few thousand words, frequent ones often.
/// </summary>
internal sealed class Text
{
    readonly byte[] pool;
    readonly Random random;

    public Text(int seed, int poolBytes = 4 << 20)
    {
        random = new Random(seed);
        var words = Enumerable.Range(0, 5000).Select(_ => Word()).ToArray();
        // Straight into the bytes: what this leaves behind would count as memory of what is measured.
        pool = new byte[poolBytes];
        for (var used = 0; used < poolBytes;)
        {
            // Zipf's law, roughly: the rank grows exponentially with a uniform number.
            var rank = (int)Math.Exp(random.NextDouble() * Math.Log(words.Length)) - 1;
            used += Put(words[rank], used);
            used += Put(random.Next(10) == 0 ? ". " : " ", used);
        }
    }

    int Put(string word, int at)
    {
        var room = Math.Min(word.Length, pool.Length - at);
        return Encoding.ASCII.GetBytes(word.AsSpan(0, room), pool.AsSpan(at));
    }

    string Word() => string.Concat(Enumerable.Range(0, random.Next(2, 10)).Select(_ => (char)('a' + random.Next(26))));

    /// <summary>The next random number below a bound.</summary>
    public int Next(int bound) => random.Next(bound);

    /// <summary>So many bytes of text from somewhere.</summary>
    public ReadOnlySpan<byte> Take(int bytes) => pool.AsSpan(random.Next(pool.Length - bytes), bytes);
}
