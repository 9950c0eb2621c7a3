namespace RecoveryVfs.RecoveryLog.Objects;

/// <summary>What may be the name of an object.</summary>
static class ObjectName
{
    public const int MaxLength = 512;

    /// <summary>Throws when a name could leave the prefix or would need escaping anywhere.</summary>
    public static void Check(string name)
    {
        if (!IsValid(name))
            throw new RecoveryException(RecoveryError.Invalid,
                $"'{name}' cannot be the name of an object: use letters, digits, '.', '_', '~', '-' and single '/' "
                    + "in between");
    }

    public static bool IsValid(string name)
    {
        if (name.Length is 0 or > MaxLength) return false;
        foreach (var part in name.AsSpan().Split('/'))
            if (!IsValidPart(name.AsSpan()[part])) return false;
        return true;
    }

    /// <summary>
    /// A part may not start with a dot: no "..", and temporary files of a directory store are never objects.
    /// </summary>
    static bool IsValidPart(ReadOnlySpan<char> part)
    {
        if (part.Length == 0 || part[0] == '.') return false;
        foreach (char c in part)
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('.' or '_' or '~' or '-')) return false;
        return true;
    }
}
