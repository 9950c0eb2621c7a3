using System.Runtime.InteropServices;

namespace RecoveryVfs.Bench;

/// <summary>What the programs that this one has run have taken of the processor, their own children included.</summary>
internal static partial class ProcessorTime
{
    const int Children = -1; // RUSAGE_CHILDREN

    /// <summary>Seconds in user and kernel mode, of all children that have ended so far.</summary>
    public static double OfEndedChildren()
    {
        var usage = new long[18]; // struct rusage: two times of seconds and microseconds, and more
        if (getrusage(Children, usage) != 0) throw new InvalidOperationException("getrusage failed.");
        return usage[0] + usage[2] + (usage[1] + usage[3]) / 1e6;
    }

    [LibraryImport("libc")]
    private static partial int getrusage(int who, [Out] long[] usage);
}
