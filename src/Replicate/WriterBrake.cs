using RecoveryVfs.Replicate.Interop;

namespace RecoveryVfs.Replicate;

/// <summary>
/// Holds writers off for moments when they write more than is read of their WAL in the same time: a replicator that has
/// too little of the processor would never be done, and the WAL would grow without bound. Between two moments they have
/// one of their own.
/// </summary>
internal sealed class WriterBrake(string path, ReplicatorOptions options) : IDisposable
{
    /// <summary>Frames that are read until it is asked how many have come.</summary>
    const int FramesFree = 64;

    /// <summary>Frames that are read while writers wait: some 15 ms, on a machine that is not overloaded.</summary>
    const int FramesHeld = 512;

    /// <summary>
    /// Only when so many times <see cref="ReplicatorOptions.CheckpointFrames"/> are unread: less is read soon.
    /// </summary>
    const int Behind = 2;

    static readonly TimeSpan LongestHold = TimeSpan.FromMilliseconds(100),
        WritersMoment = TimeSpan.FromMilliseconds(25);

    SqliteHandle? connection;
    bool isOn, isHeld;
    // Where the WAL ended when reading began, what was unread of it, and what was read since.
    WalIndex began;
    uint unread, read;
    int frames;
    long heldSince;

    /// <summary>So many frames are going to be read, the last of the WAL.</summary>
    /// <param name="index">Where it ends.</param>
    /// <param name="framesUnread">How many.</param>
    /// <param name="atOnce">Whether writers are held off whatever they do.</param>
    public void Begin(in WalIndex index, uint framesUnread, bool atOnce)
    {
        isOn = index.Frames >= options.CheckpointFrames && framesUnread > FramesFree;
        (began, unread, read, frames) = (index, framesUnread, 0, 0);
        if (isOn && atOnce) Hold();
    }

    /// <summary>One more frame was read.</summary>
    public void Next()
    {
        if (!isOn) return;
        (read, frames) = (read + 1, frames + 1);
        if (isHeld)
        {
            if (frames < FramesHeld && options.Time.GetElapsedTime(heldSince) < LongestHold) return;
            LetGo();
            Thread.Sleep(WritersMoment);
            Hold();
        }
        else if (frames >= FramesFree)
        {
            frames = 0;
            if (IsTooSlow()) Hold();
        }
    }

    /// <summary>What was to be read was read, or could not be.</summary>
    public void End()
    {
        if (isHeld) LetGo();
        isOn = false;
    }

    bool IsTooSlow()
    {
        connection ??= SqliteHandle.Open(path, options.LockPatience);
        connection.BeginRead();
        try
        {
            if (connection.ReadWalIndex() is not { } now) return false;
            var came = now.Salt == began.Salt ? now.Frames - began.Frames : now.Frames;
            return came >= read && unread + came - read >= options.CheckpointFrames * (long)Behind;
        }
        finally
        {
            connection.End();
        }
    }

    void Hold()
    {
        connection ??= SqliteHandle.Open(path, options.LockPatience);
        isHeld = connection.TryBeginWrite();
        // Where it cannot be had, reading goes on for as long as it would have been held.
        (frames, heldSince) = (isHeld ? 0 : FramesFree - FramesHeld, options.Time.GetTimestamp());
    }

    void LetGo()
    {
        connection!.End();
        isHeld = false;
    }

    public void Dispose()
    {
        End();
        connection?.Dispose();
        connection = null;
    }
}
