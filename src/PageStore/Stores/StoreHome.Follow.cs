using System.Buffers.Binary;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.PageStore.Stores;

// What a replica's directory says of how complete it is, to other processes and after a restart.
internal sealed partial class StoreHome
{
    const string UnsettledMark = "unsettled", CaughtUpMark = "caught-up", MomentMark = "moment", Shown = " shown";

    /// <summary>
    /// The moment that a replica shows, in words, and whether it has come to it; null when it follows on.
    /// </summary>
    internal (string Moment, bool IsShown)? Moment =>
        marks.Read(MomentMark)?.TrimEnd('\n') is not { } text ? null
            : text.EndsWith(Shown, StringComparison.Ordinal) ? (text[..^Shown.Length], true) : (text, false);

    /// <summary>Says which moment a replica is to show. It comes before anything of the replica does.</summary>
    internal void BeginMoment(string moment) => marks.Write(MomentMark, moment + "\n");

    /// <summary>Says that the replica has come to its moment, and is settled there.</summary>
    internal void EndMoment(string moment)
    {
        if (IsUnsynced) marks.WriteUnsynced(MomentMark, moment + Shown + "\n");
        else marks.Write(MomentMark, moment + Shown + "\n");
    }

    /// <summary>Refuses a replica that shows something else than is asked for; null asks for the newest.</summary>
    internal void ThrowUnlessOf(string? moment)
    {
        if (!IsReplica || IsStartingOver || Moment?.Moment == moment) return;
        throw new RecoveryException(RecoveryError.Invalid,
            $"{path} shows {Moment?.Moment ?? "the newest state"} of {Following ?? "its remote"}, not "
                + $"{moment ?? "the newest state"}.",
            "Give each moment a directory of its own, or delete this one first.")
        { Path = path };
    }

    /// <summary>When the replica last had everything that there was: its mark's time says so.</summary>
    internal DateTimeOffset CompleteAt
    {
        get => File.GetLastWriteTimeUtc(At(ReplicaMark));
        set => File.SetLastWriteTimeUtc(At(ReplicaMark), value.UtcDateTime);
    }

    /// <summary>Tells other processes that read the directory when it last lacked nothing.</summary>
    internal void NoteCaughtUp(DateTimeOffset at)
    {
        try
        {
            if (!File.Exists(At(CaughtUpMark)))
                File.WriteAllText(At(CaughtUpMark),
                    "Its time is when this follower last had everything that the remote has.\n");
            File.SetLastWriteTimeUtc(At(CaughtUpMark), at.UtcDateTime);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // On a full disk, or one that may no longer be written, they see an older time; the following itself goes
            // on.
        }
    }

    /// <summary>A follower that has begun knows nothing yet.</summary>
    internal void ForgetCaughtUp()
    {
        if (marks.Has(CaughtUpMark)) disk.Delete(At(CaughtUpMark));
    }

    /// <summary>When the directory last lacked nothing, as far as that shows.</summary>
    internal DateTimeOffset CaughtUpAt(bool isFollowed)
    {
        var mark = new FileInfo(At(CaughtUpMark));
        return isFollowed && mark.Exists ? mark.LastWriteTimeUtc : CompleteAt;
    }

    /// <summary>Looks how far a replica's records may have gone beyond its hints.</summary>
    internal Unsettled OpenUnsettled() => new(this);

    /// <summary>
    /// The file <c>unsettled</c> of a replica: it is there while records were applied that its hints do not cover, and
    /// says up to which LSN. A process that finds it knows from where on the files are one state again.
    /// </summary>
    /// <remarks>
    /// <code>
    ///  0             16        24
    ///  +-------------+---------+
    ///  | boot id     | LSN     |      little-endian
    ///  +-------------+---------+
    /// </code>
    /// That the file exists is durable. The LSN is written, not synced: it outlives the process. After a loss of power,
    /// which the boot's id tells, it is not believed, and only the end of the remote's log is far enough.
    /// </remarks>
    internal sealed class Unsettled : IDisposable
    {
        const int LsnAt = 16, SizeBytes = 24;

        static readonly byte[] bootId = File.Exists("/proc/sys/kernel/random/boot_id")
            ? Guid.Parse(File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim()).ToByteArray() : new byte[LsnAt];

        readonly StoreHome home;
        ILogFile? file;

        internal Unsettled(StoreHome home)
        {
            this.home = home;
            if (!home.marks.Has(UnsettledMark)) return;
            using var found = home.Disk.Open(home.At(UnsettledMark), LogFileMode.Read);
            Span<byte> bytes = stackalloc byte[SizeBytes];
            Lsn = found.Read(0, bytes) == SizeBytes && bytes[..LsnAt].SequenceEqual(bootId)
                ? BinaryPrimitives.ReadUInt64LittleEndian(bytes[LsnAt..])
                : ulong.MaxValue;
        }

        /// <summary>
        /// Up to where records may have left something; 0 when all of it is in the hints, the highest number when it is
        /// not known.
        /// </summary>
        public ulong Lsn { get; private set; }

        /// <summary>Notes that records up to an LSN are about to be applied.</summary>
        public void Raise(ulong lsn)
        {
            if (lsn <= Lsn) return;
            Span<byte> bytes = stackalloc byte[SizeBytes];
            bootId.CopyTo(bytes);
            BinaryPrimitives.WriteUInt64LittleEndian(bytes[LsnAt..], lsn);
            var isNew = file is null;
            file ??= home.Disk.Open(home.At(UnsettledMark), LogFileMode.Create);
            file.Write(0, bytes);
            Lsn = lsn;
            if (!isNew) return;
            // Or what is in the files after a loss of power would be taken for whole.
            file.SyncData();
            home.Disk.SyncDirectory(home.Path);
        }

        /// <summary>Everything is in the hints.</summary>
        public void Remove()
        {
            Dispose();
            home.marks.Remove(UnsettledMark);
            Lsn = 0;
        }

        public void Dispose()
        {
            file?.Dispose();
            file = null;
        }
    }
}
