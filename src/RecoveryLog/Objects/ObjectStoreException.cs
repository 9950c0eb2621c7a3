namespace RecoveryVfs.RecoveryLog.Objects;

/// <summary>What is known after a request to an object store failed.</summary>
internal enum ObjectStoreError
{
    /// <summary>
    /// Nobody knows whether the request was carried out: the answer was lost, timed out, or said "internal error".
    /// </summary>
    Unknown,
    /// <summary>
    /// The request was not carried out; the store is away or wants us to slow down. Trying again later can succeed.
    /// </summary>
    Unavailable,
    /// <summary>The credentials do not allow it (or there are none).</summary>
    Denied,
    /// <summary>The bucket or directory itself does not exist.</summary>
    Missing,
    /// <summary>The store does not know how to do this.</summary>
    Unsupported,
    /// <summary>The store has no room left, or a quota was reached.</summary>
    Full,
    /// <summary>The store rejected the request for another reason.</summary>
    Rejected,
}

/// <summary>
/// A failed request to an object store. Stays inside the remote layer, which retries it, settles it, or turns it into a
/// <see cref="RecoveryException"/>.
/// </summary>
internal sealed class ObjectStoreException(ObjectStoreError error, string message, Exception? cause = null)
    : Exception(message, cause)
{
    /// <summary>What is known of the outcome.</summary>
    public ObjectStoreError Error { get; } = error;

    /// <summary>Whether trying again, without anybody mending anything, can succeed.</summary>
    public bool IsTransient => Error is ObjectStoreError.Unknown or ObjectStoreError.Unavailable;

    /// <summary>The object or remote; null where the message alone names it.</summary>
    public string? Path { get; init; }

    /// <summary>What to do, where this kind of store knows it better.</summary>
    public string? WayOut { get; init; }

    /// <summary>The same as an error for people, with what to do.</summary>
    public RecoveryException ToRecoveryException() =>
        new(RecoveryError.Remote, $"{Message}.", WayOut ?? Advice, this) { Path = Path, IsTransient = IsTransient };

    string Advice => Error switch
    {
        ObjectStoreError.Denied
            => "Check the credentials (the usual AWS chain: AWS_ACCESS_KEY_ID, profiles, instance roles) and what "
                + "they allow",
        ObjectStoreError.Missing => "Create the bucket or directory, or correct the remote's URL",
        ObjectStoreError.Unsupported
            => "Use an object store with conditional create (If-None-Match), or file:///directory",
        ObjectStoreError.Full => "Make room, or raise the quota",
        ObjectStoreError.Rejected => "Check the remote's URL: endpoint, region, bucket and prefix",
        _ => "Check that the object store can be reached; trying again later can succeed",
    };
}
