using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace RecoveryVfs.Bench;

/// <summary>
/// What the disk allows: writes of a commit's size to a file whose blocks are there already, each made durable. No
/// commit on either side is faster, so this says how much of a commit is ours to make better. Both columns show the
/// same thing.
/// </summary>
internal sealed partial class SyncCase : Case
{
    const int Bytes = 8 << 20;
    const int CommitBytes = 400;

    public override IReadOnlyList<string> Names => ["disk-sync"];

    public override void Run(Place place, Report report)
    {
        var files = new[] { place.Ours, place.Stock }.ToDictionary(s => s, s => Prewritten(s.PathOf("log")));
        var commit = new byte[CommitBytes];
        var count = place.Pick(10_000, 2_000);
        var (ours, stock) = Interleaved.Seconds(place, place.Rounds(9, 9), (side, round) =>
        {
            for (var i = 0; i < count; i++)
            {
                RandomAccess.Write(files[side], commit,
                    (long)(round * count + i) * CommitBytes % (Bytes - CommitBytes));
                if (fdatasync(files[side]) != 0) throw new IOException("fdatasync failed");
            }
        });
        report.AddRate("disk-sync", "syncs/s", count / ours, count / stock, null);
        foreach (var file in files.Values) file.Dispose();
    }

    [LibraryImport("libc")]
    private static partial int fdatasync(SafeFileHandle file);

    static SafeFileHandle Prewritten(string path)
    {
        var file = File.OpenHandle(path, FileMode.Create, FileAccess.ReadWrite);
        var zeros = new byte[1 << 20];
        for (var at = 0; at < Bytes; at += zeros.Length) RandomAccess.Write(file, zeros, at);
        RandomAccess.FlushToDisk(file);
        return file;
    }
}
