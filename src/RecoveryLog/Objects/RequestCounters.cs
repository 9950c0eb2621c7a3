using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.RecoveryLog.Objects;

/// <summary>Kinds of requests, as object stores bill them.</summary>
internal enum RequestKind
{
    /// <summary>A conditional create (PUT).</summary>
    Create,
    /// <summary>A read (GET).</summary>
    Get,
    /// <summary>A question for size and time (HEAD).</summary>
    Head,
    /// <summary>One page of a listing.</summary>
    List,
    /// <summary>A deletion (of one object, or of up to a thousand).</summary>
    Delete,
}

/// <summary>Kinds of objects of a remote, by the first part of their names.</summary>
internal enum ObjectClass
{
    /// <summary>Segments.</summary>
    Log,
    /// <summary>Extents.</summary>
    Extents,
    /// <summary>Hints.</summary>
    Hints,
    /// <summary>Pins.</summary>
    Pins,
    /// <summary>Everything else: store.json, probes.</summary>
    Other,
}

/// <summary>
/// Requests and bytes of one object store since it was opened, by kind of request and class of object. Thread-safe.
/// </summary>
internal sealed class RequestCounters
{
    static readonly int Classes = Enum.GetValues<ObjectClass>().Length;
    static readonly int Kinds = Enum.GetValues<RequestKind>().Length;

    readonly long[] requests = new long[Kinds * Classes];
    readonly long[] sent = new long[Classes];
    readonly long[] received = new long[Classes];
    long failures;

    /// <summary>Counts one request that is about to be made.</summary>
    public void Request(RequestKind kind, string name)
        => Interlocked.Increment(ref requests[(int)kind * Classes + (int)ClassOf(name)]);

    /// <summary>Counts bytes of an object's content that were sent.</summary>
    public void Sent(string name, long bytes) => Interlocked.Add(ref sent[(int)ClassOf(name)], bytes);

    /// <summary>Counts bytes of an object's content that were received.</summary>
    public void Received(string name, long bytes) => Interlocked.Add(ref received[(int)ClassOf(name)], bytes);

    /// <summary>Counts one request that failed.</summary>
    public void Failed() => Interlocked.Increment(ref failures);

    /// <summary>Requests of a kind on a class of objects.</summary>
    public long Requests(RequestKind kind, ObjectClass objects)
        => Interlocked.Read(ref requests[(int)kind * Classes + (int)objects]);

    /// <summary>Requests of a kind.</summary>
    public long Requests(RequestKind kind)
    {
        long sum = 0;
        for (int c = 0; c < Classes; c++) sum += Requests(kind, (ObjectClass)c);
        return sum;
    }

    /// <summary>All requests.</summary>
    public long TotalRequests
    {
        get
        {
            long sum = 0;
            for (int k = 0; k < Kinds; k++) sum += Requests((RequestKind)k);
            return sum;
        }
    }

    /// <summary>Bytes sent for a class of objects.</summary>
    public long BytesSent(ObjectClass objects) => Interlocked.Read(ref sent[(int)objects]);

    /// <summary>Bytes received for a class of objects.</summary>
    public long BytesReceived(ObjectClass objects) => Interlocked.Read(ref received[(int)objects]);

    /// <summary>All bytes sent.</summary>
    public long TotalBytesSent
    {
        get
        {
            long sum = 0;
            for (int c = 0; c < Classes; c++) sum += BytesSent((ObjectClass)c);
            return sum;
        }
    }

    /// <summary>Requests that failed.</summary>
    public long Failures => Interlocked.Read(ref failures);

    /// <summary>The class that a name (or a listing's prefix) belongs to.</summary>
    public static ObjectClass ClassOf(string name) =>
        name.StartsWith("log/", StringComparison.Ordinal) ? ObjectClass.Log
        : name.StartsWith("extents/", StringComparison.Ordinal) ? ObjectClass.Extents
        : name.StartsWith("hints/", StringComparison.Ordinal) ? ObjectClass.Hints
        : name.StartsWith("pins/", StringComparison.Ordinal) ? ObjectClass.Pins
        : ObjectClass.Other;
}
