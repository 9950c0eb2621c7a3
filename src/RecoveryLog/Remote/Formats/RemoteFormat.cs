namespace RecoveryVfs.RecoveryLog.Remote.Formats;

/// <summary>The errors that readers of remote formats share.</summary>
static class RemoteFormat
{
    public static RecoveryException Damaged(string name, string why, Exception? cause = null) =>
        new(RecoveryError.Corrupt, $"The object {name} is damaged: {why}", cause) { Path = name };

    public static RecoveryException TooNew(string name, uint version, uint known) =>
        new(RecoveryError.TooNew,
            $"The object {name} has format version {version}; this software knows versions up to {known}.",
            "Use a newer release")
        { Path = name };
}
