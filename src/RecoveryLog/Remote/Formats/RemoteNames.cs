using System.Globalization;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.RecoveryLog.Remote.Formats;

/// <summary>The names of a remote's objects.</summary>
/// <remarks>
/// <code>
///   store.json                                        log id, format version; created once
///   log/&lt;first LSN&gt;                                   segments
///   extents/&lt;fnode&gt;-&lt;epoch&gt;-&lt;first 8 bytes of SHA-256&gt;  sealed RocksDB files
///   extents/&lt;name of an extent&gt;.blocks                the hashes of its blocks
///   hints/&lt;~LSN&gt;                                      newest first in a listing
///   pins/&lt;name&gt;
/// </code>
/// Numbers are 16 lower-case hex digits. An extent's name holds the epoch in which it was shipped, so that a writer
/// that was fenced can tell what is not its own to delete, and a part of its hash, so that an fnode that was given
/// twice (after a tail of the log was lost, or by a writer that was fenced before it shipped the log) never meets other
/// bytes.
/// </remarks>
internal static class RemoteNames
{
    /// <summary>The object that says what this remote is.</summary>
    public const string Store = "store.json";
    /// <summary>Where segments are.</summary>
    public const string Segments = "log/";
    /// <summary>Where extents are.</summary>
    public const string Extents = "extents/";
    /// <summary>Where hints are.</summary>
    public const string Hints = "hints/";
    /// <summary>Where pins are.</summary>
    public const string Pins = "pins/";

    /// <summary>Whether a name is one of a remote's own objects, or could be.</summary>
    public static bool IsOwn(string name) => ((string[])[Segments, Extents, Hints, Pins, "probe/"])
        .Any(own => (name + '/').StartsWith(own, StringComparison.Ordinal));

    /// <summary>The segment that starts at an LSN.</summary>
    public static string Segment(ulong firstLsn) => $"{Segments}{firstLsn:x16}";

    /// <summary>The extent of a file.</summary>
    public static string Extent(ulong fnode, ulong epoch, in ObjectHash hash)
        => $"{Extents}{fnode:x16}-{epoch:x16}-{hash.Prefix:x16}";

    /// <summary>What the extents of a file, and of those after it, stand behind in a listing.</summary>
    public static string ExtentsOf(ulong fnode) => $"{Extents}{fnode:x16}";

    const string ListSuffix = ".blocks";

    /// <summary>The list of an extent's blocks.</summary>
    public static string ListOf(string extent) => extent + ListSuffix;

    /// <summary>The extent that an object is, or is the list of.</summary>
    public static string ExtentOf(string name) =>
        name.EndsWith(ListSuffix, StringComparison.Ordinal) ? name[..^ListSuffix.Length] : name;

    /// <summary>The hints at an LSN.</summary>
    public static string HintsAt(ulong lsn) => $"{Hints}{~lsn:x16}";

    /// <summary>A pin.</summary>
    public static string Pin(string name) => Pins + name;

    /// <summary>The LSN that a segment's name tells.</summary>
    public static bool TryParseSegment(string name, out ulong firstLsn)
    {
        firstLsn = 0;
        return name.StartsWith(Segments, StringComparison.Ordinal)
            && TryParse(name.AsSpan(Segments.Length), out firstLsn);
    }

    /// <summary>The LSN that the name of hints tells.</summary>
    public static bool TryParseHints(string name, out ulong lsn)
    {
        lsn = 0;
        if (!name.StartsWith(Hints, StringComparison.Ordinal)
            || !TryParse(name.AsSpan(Hints.Length), out ulong inverted))
            return false;
        lsn = ~inverted;
        return true;
    }

    /// <summary>What an extent's name tells: fnode, epoch, and the first 8 bytes of its hash.</summary>
    public static bool TryParseExtent(string name, out (ulong Fnode, ulong Epoch, ulong HashPrefix) parts)
    {
        parts = default;
        if (name.Length != Extents.Length + 50 || !name.StartsWith(Extents, StringComparison.Ordinal)) return false;
        var rest = name.AsSpan(Extents.Length);
        return rest[16] == '-' && rest[33] == '-' && TryParse(rest[..16], out parts.Fnode)
            && TryParse(rest[17..33], out parts.Epoch)
            && TryParse(rest[34..], out parts.HashPrefix);
    }

    static bool TryParse(ReadOnlySpan<char> hex, out ulong value)
    {
        value = 0;
        return hex.Length == 16 && !hex.ContainsAnyInRange('A', 'F')
            && ulong.TryParse(hex, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
    }
}
