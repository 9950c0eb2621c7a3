namespace RecoveryVfs.RecoveryLog.Disk;

/// <summary>
/// Whose files are obeyed. What says where data is and where it goes must be this user's own or root's, and nobody else
/// may write it: as ssh has it with its keys. A shared directory holds what anybody puts there.
/// </summary>
internal static class Trust
{
    const int GroupMayWrite = 0x10, OthersMayWrite = 0x2;

    /// <summary>
    /// <c>RECOVERY_TRUST_OWNERS=any</c>: for machines where whoever may write a file may be believed, such as
    /// containers with other numbers.
    /// </summary>
    static readonly bool trustsAll = Environment.GetEnvironmentVariable("RECOVERY_TRUST_OWNERS") == "any";

    /// <summary>
    /// Refuses a file or directory that is somebody else's, or that others may write; what does not exist is fine.
    /// </summary>
    public static void Require(string path)
    {
        if (FileNode.At(path) is not { } named) return;
        Check(path, named, checkRights: !named.IsLink);
        if (named.IsLink && FileNode.At(path, follow: true) is { } meant) Check(path, meant, checkRights: true);
    }

    /// <summary>Refuses what others may write, whoever owns it.</summary>
    public static void RequireUnwritable(string path, FileNode node)
    {
        if (trustsAll) return;
        // A group of the process's own is commonly a group of one; root's group has nothing but root.
        var groupCounts = node.Group != 0 && node.Group != Posix.EffectiveGroup();
        var writable = node.Rights & (OthersMayWrite | (groupCounts ? GroupMayWrite : 0));
        if (writable == 0) return;
        var who = (writable & OthersMayWrite) != 0 ? "everybody" : $"the group {node.Group}";
        throw new RecoveryException(RecoveryError.Untrusted,
            $"{path} may be written by {who} (mode {Octal(node.Rights)}), so it is not believed.",
            $"See that what it says is yours, then: chmod go-w {path}")
        { Path = path };
    }

    static void Check(string path, FileNode node, bool checkRights)
    {
        if (trustsAll) return;
        var user = Posix.EffectiveUser();
        if (node.Owner != 0 && node.Owner != user)
            throw new RecoveryException(RecoveryError.Untrusted,
                $"{path} belongs to the user {node.Owner}, and this process is user {user}: "
                + "what decides where data goes is believed only of its own user and of root.",
                $"Run as user {node.Owner}, or see that it is yours and: chown {user} {path}. "
                + "(RECOVERY_TRUST_OWNERS=any trusts every owner.)")
            { Path = path };
        if (checkRights) RequireUnwritable(path, node);
    }

    static string Octal(int rights) => Convert.ToString(rights, 8).PadLeft(4, '0');
}
