namespace RecoveryVfs.Programs;

/// <summary>What somebody who mistyped a word may have meant.</summary>
internal static class Suggestions
{
    const int MostEdits = 3;

    /// <summary>" Did you mean 'restore'?", or nothing when no word is near.</summary>
    public static string For(string word, IEnumerable<string> known)
    {
        var near = known.Select(k => (Word: k, Edits: Edits(word, k)))
            .Where(k => k.Edits <= Math.Min(MostEdits, Math.Max(1, k.Word.Length / 2))
            || (word.Length > 2 && k.Word.StartsWith(word, StringComparison.Ordinal))).OrderBy(k => k.Edits)
            .FirstOrDefault();
        return near.Word is null ? "" : $" Did you mean '{near.Word}'?";
    }

    /// <summary>Letters to add, drop, change, or swap with their neighbour (Damerau-Levenshtein).</summary>
    internal static int Edits(string a, string b)
    {
        var d = new int[a.Length + 1, b.Length + 1];
        for (var i = 0; i <= a.Length; i++) d[i, 0] = i;
        for (var j = 0; j <= b.Length; j++) d[0, j] = j;
        for (var i = 1; i <= a.Length; i++)
            for (var j = 1; j <= b.Length; j++)
            {
                var change = a[i - 1] == b[j - 1] ? 0 : 1;
                d[i, j] = Math.Min(Math.Min(d[i - 1, j] + 1, d[i, j - 1] + 1), d[i - 1, j - 1] + change);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                    d[i, j] = Math.Min(d[i, j], d[i - 2, j - 2] + 1);
            }
        return d[a.Length, b.Length];
    }
}
