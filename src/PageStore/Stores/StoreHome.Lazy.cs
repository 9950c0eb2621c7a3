using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.PageStore.Stores;

// What a directory says of files that come from a remote when they are read: `lazy` lists them, and each has a record
// in `fetched` for as long as it is not whole. The records are durable before the directory counts as begun.
internal sealed partial class StoreHome
{
    const string LazyMark = "lazy";

    /// <summary>Where the records of files are that are not whole.</summary>
    internal string Fetched => At("fetched");

    /// <summary>Whether files of the page store may lack bytes, which come from a remote when they are read.</summary>
    internal bool IsLazy => marks.Has(LazyMark);

    /// <summary>Which files those are, and what their bytes must be; null when all are whole.</summary>
    internal string? LazyList
    {
        get => marks.Read(LazyMark);
        set
        {
            if (value is not null) marks.Write(LazyMark, value);
            else
            {
                marks.Remove(LazyMark);
                if (Directory.Exists(Fetched)) Directory.Delete(Fetched, recursive: true);
            }
        }
    }

    /// <summary>Refuses to do something with a directory whose files are not all here.</summary>
    internal void ThrowIfLazy()
    {
        if (IsLazy)
            throw new RecoveryException(RecoveryError.CannotOpen,
                $"Not all of {path} is here: it follows {Following ?? "a remote"} and fetches what is read.",
                "Read it through a connection with follow=URL&fetch=lazy, or have all of it fetched first: "
                    + "`recovery-tail URL --into DIR --once`.")
            { Path = path };
    }
}
