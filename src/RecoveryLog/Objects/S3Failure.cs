using System.Net;
using System.Net.Sockets;
using Amazon.Runtime;

namespace RecoveryVfs.RecoveryLog.Objects;

/// <summary>What the errors of S3 servers and of the way to them mean.</summary>
static class S3Failure
{
    /// <summary>The object is not there (and the bucket is).</summary>
    public static bool IsNoSuchObject(Exception e) =>
        e is AmazonServiceException { StatusCode: HttpStatusCode.NotFound, ErrorCode: not "NoSuchBucket" };

    /// <summary>A read changes nothing, so its outcome is never unknown.</summary>
    public static ObjectStoreError OfRead(Exception e) => OfWrite(e) is ObjectStoreError.Unknown
        ? ObjectStoreError.Unavailable
        : OfWrite(e);

    public static ObjectStoreError OfWrite(Exception e) => e switch
    {
        AmazonServiceException { StatusCode: not 0 } answered => OfAnswer(answered),
        // Credentials that cannot be had are found before anything is sent.
        AmazonClientException client when IsAboutCredentials(client) => ObjectStoreError.Denied,
        _ when IsConnectFailure(e) => ObjectStoreError.Unavailable,
        _ => ObjectStoreError.Unknown,
    };

    public static string Describe(Exception e, TimeSpan stall) => e switch
    {
        AmazonServiceException { StatusCode: not 0 } a
            => $"{(int)a.StatusCode} "
                + $"{a.ErrorCode}{(string.IsNullOrWhiteSpace(a.Message) ? "" : ": " + OneLine(a.Message))}",
        OperationCanceledException => $"nothing moved for {stall.TotalSeconds:0} s",
        _ when e.InnerException is { } inner && e is not AmazonServiceException { ErrorCode.Length: > 0 }
            && !e.Message.Contains(inner.Message, StringComparison.Ordinal)
            && !inner.Message.Contains(e.Message, StringComparison.Ordinal)
            => $"{OneLine(e.Message)} ({OneLine(inner.Message)})",
        _ => OneLine(e.InnerException?.Message is { } longer
            && longer.Contains(e.Message, StringComparison.Ordinal) ? longer : e.Message),
    };

    /// <summary>The SDK's messages may have paragraphs, and end in any number of dots.</summary>
    static string OneLine(string text) =>
        string.Join("; ", text.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Where(l => l.Trim('.').Length > 0)).TrimEnd('.', ' ');

    static ObjectStoreError OfAnswer(AmazonServiceException e) => e.StatusCode switch
    {
        HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden => ObjectStoreError.Denied,
        HttpStatusCode.NotFound => ObjectStoreError.Missing,
        HttpStatusCode.NotImplemented or HttpStatusCode.MethodNotAllowed => ObjectStoreError.Unsupported,
        HttpStatusCode.InsufficientStorage => ObjectStoreError.Full,
        HttpStatusCode.TooManyRequests => ObjectStoreError.Unavailable,
        HttpStatusCode.ServiceUnavailable when e.ErrorCode is "SlowDown" or "ServiceUnavailable"
            => ObjectStoreError.Unavailable,
        // 409: another conditional request on the name is under way; who wins is not known yet.
        HttpStatusCode.Conflict or HttpStatusCode.RequestTimeout => ObjectStoreError.Unknown,
        >= HttpStatusCode.InternalServerError => ObjectStoreError.Unknown,
        HttpStatusCode.BadRequest when e.ErrorCode is "RequestTimeout" => ObjectStoreError.Unknown,
        _ => ObjectStoreError.Rejected,
    };

    static bool IsConnectFailure(Exception? e)
    {
        for (; e is not null; e = e.InnerException)
            if (e is SocketException
                {
                    SocketErrorCode: SocketError.ConnectionRefused or SocketError.HostNotFound or SocketError.TryAgain
                    or SocketError.HostUnreachable or SocketError.NetworkUnreachable
                })
                return true;
        return false;
    }

    static bool IsAboutCredentials(AmazonClientException e) =>
        (e.Message.Contains("credentials", StringComparison.OrdinalIgnoreCase)
            || e.Message.Contains("IAM", StringComparison.Ordinal));
}
