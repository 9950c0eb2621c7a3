using System.Globalization;
using System.Text;
using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.PageStore.Stores;

// Whether a directory is the one that ships to its remote, or a copy of it. See
// docs/decisions/0015-copied-directories.md.
internal sealed partial class StoreHome
{
    const string PlaceMark = "place", MachineIdFile = "/etc/machine-id";

    /// <summary>
    /// Says that this directory, here, is the one that ships to its remote. The mark names itself: the machine, and the
    /// identity of its own file, which a copy does not have and a renamed directory keeps.
    /// </summary>
    public void Adopt() => WritePlace([]);

    void WritePlace(IEnumerable<string> notOurs)
    {
        if (disk is not LocalDisk) return;
        var temporary = At(PlaceMark) + StoreMarks.NewSuffix;
        using (var file = disk.Open(temporary, LogFileMode.Create))
        {
            if (FileIdentities.Of(temporary) is not { } identity) return;
            file.Write(0, Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture,
                $"machine {MachineId}\nfile {identity.Inode} {identity.BornNs}\npath "
                    + $"{System.IO.Path.GetFullPath(path)}\n{string.Concat(notOurs.Select(u => $"not {u}\n"))}")));
            file.SyncData();
        }
        disk.Rename(temporary, At(PlaceMark));
        disk.SyncDirectory(path);
    }

    /// <summary>
    /// What a store that may ship does at its opening: a directory that is its own is noted once. A copy that was given
    /// a remote of its own is its owner from here on, and never of the remotes that it was copied with.
    /// </summary>
    internal void BeginToShip()
    {
        if (marks.Read(PlaceMark) is not { } text) Adopt();
        else if (!IsHere(text)) WritePlace(RemoteUrls.Concat(NotOurs(text)).Distinct());
    }

    static IEnumerable<string> NotOurs(string text)
        => text.Split('\n').Where(l => l.StartsWith("not ", StringComparison.Ordinal)).Select(l => l["not ".Length..]);

    /// <summary>
    /// Why this directory must not ship to a remote that it, or the directory that it is a copy of, has shipped to:
    /// null when it may. A remote that it never shipped to is somebody's word.
    /// </summary>
    public RecoveryException? WhyNotOwner(string? url)
    {
        if (url is null || disk is not LocalDisk || marks.Read(PlaceMark) is not { } text) return null;
        var isNot = NotOurs(text).Contains(url);
        if (!isNot && (!RemoteUrls.Contains(url) || IsHere(text))) return null;
        var what = isNot
            ? "began as a copy of another directory"
            : IsOfOtherMachine(text)
            ? $"was moved or copied here from another machine, where it was {Line(text, "path ")}"
            : $"is a copy of {Line(text, "path ")}";
        return new RecoveryException(RecoveryError.ReadOnly,
            $"{path} {what}, and must not take {url} over from the store that ships there. It can be read.",
            "To write, say what it is: if it goes on in that one's place, and that one never "
            + $"runs again, `recovery adopt {path}`; if it is a store of its own, give it a remote of its own, or "
                + $"none: `recovery remote set {path} URL|none`.")
        { Path = path };
    }

    bool IsHere(string text) => !IsOfOtherMachine(text)
        && FileIdentities.Of(At(PlaceMark)) is var here
        && (here is null || Line(text, "file ")
        == string.Create(CultureInfo.InvariantCulture, $"{here.Value.Inode} {here.Value.BornNs}"));

    static bool IsOfOtherMachine(string text) => Line(text, "machine ") is { Length: > 0 } machine
        && MachineId is { Length: > 0 } id && machine != id;

    static string Line(string text, string name) =>
        text.Split('\n').FirstOrDefault(l => l.StartsWith(name, StringComparison.Ordinal))?[name.Length..] ?? "";

    /// <summary>
    /// The identity that the system was given when it was installed; empty where there is none, as in most containers.
    /// </summary>
    static string MachineId
    {
        get
        {
            try
            {
                return File.Exists(MachineIdFile) ? File.ReadAllText(MachineIdFile).Trim() : "";
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                return "";
            }
        }
    }
}
