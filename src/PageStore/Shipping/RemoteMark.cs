using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.PageStore.Shipping;

/// <summary>
/// What a store's directory remembers of its remotes, in small text files that outlive a loss of power: <c>author</c>, who it is as a writer, so that it
/// recognises its own segments after a crash; <c>remote</c>, the URLs it has shipped to, newest first, so that it never takes an emptied remote for a
/// new one; <c>remote-wanted</c>, the URL that somebody has set since, until the store has shipped there (or <c>none</c>);
/// <c>restarting</c>, present while a gap in the remote's log waits for hints.
/// </summary>
public sealed class RemoteMark(string directory)
{
    const string AuthorName = "author", RemoteName = "remote", WantedName = "remote-wanted", RestartingName = "restarting", FollowingName = "following";

    /// <summary>The URLs that the store has shipped to, the one in use first.</summary>
    public IReadOnlyList<string> Urls =>
        Read(RemoteName) is { } text ? text.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) : [];

    /// <summary>The URL that the store ships to unless told otherwise.</summary>
    public string? Url => Wanted is { } wanted ? wanted == "none" ? null : wanted : Urls.Count > 0 ? Urls[0] : null;

    /// <summary>What somebody has set, and the store has not shipped to yet: a URL, or <c>none</c>.</summary>
    public string? Wanted => Read(WantedName)?.Trim() is { Length: > 0 } wanted ? wanted : null;

    /// <summary>Whether the store has reached that remote before: then it never takes it for a new one.</summary>
    public bool HasReached(string url) => Urls.Contains(url);

    /// <summary>The remote that a follower in this directory follows.</summary>
    public string? Following => Read(FollowingName)?.Trim();

    /// <summary>The writer's identity; null when the directory never was a writer.</summary>
    public ulong? Author
    {
        get
        {
            if (Read(AuthorName) is not { } text) return null;
            return ulong.TryParse(text.Trim(), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var author) && author != 0
                ? author
                : throw new RecoveryException(RecoveryError.Corrupt,
                    $"{Path.Combine(directory, AuthorName)}, which says who this store is to its remote, is damaged. Restore the store from its remote into an empty directory.");
        }
    }

    /// <summary>Whether a gap was left in the remote's log and no hints came after it yet.</summary>
    public bool IsRestarting
    {
        get => File.Exists(Path.Combine(directory, RestartingName));
        internal set
        {
            if (value) Write(RestartingName, "Nothing newer than the gap in the remote's log can be restored until hints are published.\n");
            else File.Delete(Path.Combine(directory, RestartingName));
        }
    }

    /// <summary>The writer's identity, made when there is none.</summary>
    internal ulong AuthorOrNew()
    {
        if (Author is { } known) return known;
        var author = Math.Max(1, BinaryPrimitives.ReadUInt64LittleEndian(RandomNumberGenerator.GetBytes(8)));
        Write(AuthorName, author.ToString("x16", CultureInfo.InvariantCulture) + "\n");
        return author;
    }

    /// <summary>Sets the URL for the openings to come, or <c>none</c>. The caller holds the store's lock.</summary>
    internal void Want(string url) => Write(WantedName, url + "\n");

    /// <summary>Remembers a URL as the one in use.</summary>
    internal void Add(string url)
    {
        var urls = Urls;
        if (urls.Count == 0 || urls[0] != url) Write(RemoteName, string.Concat(urls.Where(u => u != url).Prepend(url).Select(u => u + "\n")));
        if (Wanted is not null) File.Delete(Path.Combine(directory, WantedName));
    }

    /// <summary>Remembers a URL that the store was told to ship to, reached or not.</summary>
    internal void Configure(string url)
    {
        if (Url != url) Want(url);
    }

    /// <summary>Remembers what a follower follows.</summary>
    internal void Follow(string url)
    {
        if (Following != url) Write(FollowingName, url + "\n");
    }

    string? Read(string name)
    {
        var path = Path.Combine(directory, name);
        return File.Exists(path) ? File.ReadAllText(path) : null;
    }

    void Write(string name, string text)
    {
        var (disk, path) = (LocalDisk.Instance, Path.Combine(directory, name));
        using (var file = disk.Open(path + ".new", LogFileMode.Create))
        {
            file.Write(0, Encoding.UTF8.GetBytes(text));
            file.SyncData();
        }
        disk.Rename(path + ".new", path);
        disk.SyncDirectory(directory);
    }
}
