using System.Globalization;

namespace RecoveryVfs.PageStore.Reading;

/// <summary>
/// The name that a database has in its store after the file at its path was removed: <c>deleted~TIME~NAME</c>, TIME in
/// milliseconds since 1970. It is kept under it for as long as retention says, and no database is opened by such a
/// name.
/// </summary>
internal readonly record struct DeletedName(DateTimeOffset At, string Name)
{
    const string Prefix = "deleted~";

    /// <summary>The name in the store.</summary>
    public override string ToString()
        => string.Create(CultureInfo.InvariantCulture, $"{Prefix}{At.ToUnixTimeMilliseconds()}~{Name}");

    /// <summary>Whether a name is of this kind.</summary>
    public static bool Is(string name) => Parse(name) is not null;

    /// <summary>What a name in a store says; null when it is an ordinary one.</summary>
    public static DeletedName? Parse(string name)
    {
        if (!name.StartsWith(Prefix, StringComparison.Ordinal)
            || name.IndexOf('~', Prefix.Length) is not (> 0 and var end) || end + 1 == name.Length)
            return null;
        return long.TryParse(name.AsSpan(Prefix.Length, end - Prefix.Length), NumberStyles.None,
            CultureInfo.InvariantCulture, out var ms) && ms < 253402300800000
            ? new(DateTimeOffset.FromUnixTimeMilliseconds(ms), name[(end + 1)..]) : null;
    }
}
