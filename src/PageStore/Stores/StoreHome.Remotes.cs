using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.PageStore.Stores;

// What a directory remembers of its remotes: `author`, who it is as a writer, so that it recognises its own segments
// after a crash; `remote`, the URLs it has shipped to, newest first, so that it never takes an emptied remote for a new
// one; `remote-wanted`, the URL that somebody has set since, until the store has shipped there (or `none`);
// `following`, what a follower in it follows; `restarting`, present while a gap in the remote's log waits for hints.
internal sealed partial class StoreHome
{
    const string AuthorMark = "author", RemoteMark = "remote", WantedMark = "remote-wanted",
        FollowingMark = "following", RestartingMark = "restarting", PinMark = "pin",
        HintsPinMark = "pin-hints";

    /// <summary>The URLs that the store has shipped to, the one in use first.</summary>
    public IReadOnlyList<string> RemoteUrls =>
        marks.Read(RemoteMark) is { } text
            ? text.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            : [];

    /// <summary>The URL that the store ships to unless told otherwise.</summary>
    public string? RemoteUrl => RemoteWanted is { } wanted
        ? wanted == "none" ? null : wanted : RemoteUrls.Count > 0 ? RemoteUrls[0] : null;

    /// <summary>What somebody has set, and the store has not shipped to yet: a URL, or <c>none</c>.</summary>
    public string? RemoteWanted => marks.Read(WantedMark)?.Trim() is { Length: > 0 } wanted ? wanted : null;

    /// <summary>The remote that a follower in this directory follows. A change is durable.</summary>
    public string? Following
    {
        get => marks.Read(FollowingMark)?.Trim();
        internal set
        {
            if (value is not null && value != Following) marks.Write(FollowingMark, value + "\n");
        }
    }

    /// <summary>The writer's identity; null when the directory never was a writer.</summary>
    public ulong? Author
    {
        get
        {
            if (marks.Read(AuthorMark) is not { } text) return null;
            return ulong.TryParse(text.Trim(), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture,
                out var author) && author != 0
                ? author
                : throw new RecoveryException(RecoveryError.Corrupt,
                    $"{At(AuthorMark)}, which says who this store is to its remote, is damaged.",
                    "Restore the store "
                        + "from its remote into an empty directory.")
                { Path = At(AuthorMark) };
        }
    }

    /// <summary>Whether a gap was left in the remote's log and no hints came after it yet.</summary>
    public bool IsRestarting
    {
        get => marks.Has(RestartingMark);
        internal set
        {
            if (value)
                marks.Write(RestartingMark,
                    "Nothing newer than the gap in the remote's log can be restored until hints are published.\n");
            else marks.Remove(RestartingMark);
        }
    }

    /// <summary>The name of the pin that the remote has for this follower, or null. A change is durable.</summary>
    internal string? PinName
    {
        get => marks.Read(PinMark)?.Trim() is { Length: > 0 } name ? name : null;
        set
        {
            if (value is null) marks.Remove(PinMark);
            else marks.Write(PinMark, value + "\n");
        }
    }

    /// <summary>
    /// The name of the pin that keeps the hints from which the directory fetches, or null. A change is durable.
    /// </summary>
    internal string? HintsPinName
    {
        get => marks.Read(HintsPinMark)?.Trim() is { Length: > 0 } name ? name : null;
        set
        {
            if (value is null) marks.Remove(HintsPinMark);
            else marks.Write(HintsPinMark, value + "\n");
        }
    }

    /// <summary>The writer's identity, made when there is none.</summary>
    internal ulong AuthorOrNew()
    {
        if (Author is { } known) return known;
        var author = Math.Max(1, BinaryPrimitives.ReadUInt64LittleEndian(RandomNumberGenerator.GetBytes(8)));
        marks.Write(AuthorMark, author.ToString("x16", CultureInfo.InvariantCulture) + "\n");
        return author;
    }

    /// <summary>Remembers a URL as the one in use.</summary>
    internal void AddRemote(string url)
    {
        var urls = RemoteUrls;
        if (urls.Count == 0 || urls[0] != url)
            marks.Write(RemoteMark, string.Concat(urls.Where(u => u != url).Prepend(url).Select(u => u + "\n")));
        marks.Remove(WantedMark);
    }

    /// <summary>Remembers a URL that the store was told to ship to, reached or not.</summary>
    internal void ConfigureRemote(string url)
    {
        if (RemoteUrl != url) WantRemote(url);
    }

    /// <summary>Sets the URL for the openings to come, or <c>none</c>. The caller holds the store's lock.</summary>
    internal void WantRemote(string url) => marks.Write(WantedMark, url + "\n");
}
