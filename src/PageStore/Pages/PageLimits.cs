using RecoveryVfs.PageStore.Reading;

namespace RecoveryVfs.PageStore.Pages;

/// <summary>What an <see cref="IPageStore"/> takes.</summary>
internal static class PageLimits
{
    /// <summary>SQLite's largest page.</summary>
    internal const int ValueBytesMax = 65536;

    /// <summary>Database 0 is where a store keeps what is its own.</summary>
    internal static void Check(uint database) => ArgumentOutOfRangeException.ThrowIfZero(database);

    internal static void CheckValue(int length)
    {
        ArgumentOutOfRangeException.ThrowIfZero(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, ValueBytesMax);
    }
}
