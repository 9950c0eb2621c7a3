using System.Net;
using System.Runtime.CompilerServices;
using Amazon.Runtime;
using Amazon.S3;
using Amazon.S3.Model;

namespace RecoveryVfs.RecoveryLog.Objects;

/// <summary>
/// Objects in an S3 bucket. Credentials come from the usual AWS chain; creates are single PUTs with <c>If-None-Match:
/// *</c> (never multipart: servers ignore the condition there).
/// </summary>
internal sealed class S3ObjectStore : IObjectStore
{
    /// <summary>A request that moves no byte for this long is given up.</summary>
    static readonly TimeSpan Stall = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Objects up to this size are signed whole; larger ones in chunks, so that they are read only once.
    /// </summary>
    const int WholeSignatureBytes = 1 << 20;

    const int DeleteBatch = 1000;

    readonly AmazonS3Client client;
    readonly RemoteUrl url;
    readonly TimeProvider time;
    readonly string keyPrefix;
    bool deletesOneByOne;

    /// <summary>Opens a bucket and prefix. Makes no request.</summary>
    public S3ObjectStore(RemoteUrl url, TimeProvider time, AWSCredentials? credentials = null)
    {
        if (url.Bucket is null) throw new RecoveryException(RecoveryError.Invalid,
            $"{url} is not an S3 remote")
        { Path = url.ToString() };
        (this.url, this.time) = (url, time);
        keyPrefix = url.Prefix.Length == 0 ? "" : url.Prefix + "/";
        Location = $"s3://{url.Bucket}/{url.Prefix}"
            + (url.Endpoint is null ? "" : $" at {url.Endpoint.GetLeftPart(UriPartial.Authority)}");
        var configuration = Configure(url);
        try
        {
            client = credentials is null
            ? new AmazonS3Client(configuration)
            : new AmazonS3Client(credentials, configuration);
        }
        catch (AmazonClientException e)
        {
            throw new RecoveryException(RecoveryError.Invalid,
                $"The remote {Location} cannot be used: {e.Message}.",
                "Set region= in the URL or AWS_REGION, and credentials in the usual AWS chain", e)
            { Path = Location };
        }
    }

    static AmazonS3Config Configure(RemoteUrl url)
    {
        var configuration = new AmazonS3Config
        {
            // Retries belong to the layer that knows what a lost answer means.
            MaxErrorRetry = 0,
            ForcePathStyle = url.ForcePathStyle,
            // Trailing checksums, the default, are refused by many servers; our objects carry SHA-256 of their own.
            RequestChecksumCalculation = RequestChecksumCalculation.WHEN_REQUIRED,
            ResponseChecksumValidation = ResponseChecksumValidation.WHEN_REQUIRED,
            // Time-outs are by progress, not by request: a slow link must get a large extent through.
            Timeout = Timeout.InfiniteTimeSpan,
            // The SDK's 8 KB make eight times the reads, each with a task and its signature's strings.
            BufferSize = 64 << 10,
        };
        if (url.Endpoint is not null)
        {
            configuration.ServiceURL = url.Endpoint.AbsoluteUri;
            configuration.AuthenticationRegion = url.Region ?? "us-east-1";
        }
        else if (url.Region is not null)
            configuration.RegionEndpoint = Amazon.RegionEndpoint.GetBySystemName(url.Region);
        return configuration;
    }

    /// <inheritdoc/>
    public string Location { get; }

    /// <inheritdoc/>
    public RequestCounters Counters { get; } = new();

    /// <inheritdoc/>
    public async ValueTask<CreateResult> CreateAsync(string name, ObjectContent content,
        CancellationToken cancellation = default)
    {
        ObjectName.Check(name);
        Counters.Request(RequestKind.Create, name);
        using var stall = new StallGuard(time, Stall, cancellation);
        try
        {
            await using var body = new ProgressStream(content.Open(), stall.Progressed);
            var request = new PutObjectRequest
            {
                BucketName = url.Bucket,
                Key = keyPrefix + name,
                InputStream = body,
                AutoCloseStream = false,
                IfNoneMatch = "*",
                UseChunkEncoding = content.LengthBytes > WholeSignatureBytes,
                ContentType = "application/octet-stream",
            };
            if (url.StorageClass is not null) request.StorageClass = new S3StorageClass(url.StorageClass);
            await client.PutObjectAsync(request, stall.Token);
            Counters.Sent(name, content.LengthBytes);
            return CreateResult.Created;
        }
        catch (AmazonServiceException e) when (e.StatusCode
            == HttpStatusCode.PreconditionFailed)
        { return CreateResult.AlreadyExists; }
        catch (Exception e) when (!IsCancelled(e, cancellation))
        {
            throw Failure("Creating", name, e, S3Failure.OfWrite(e));
        }
    }

    /// <inheritdoc/>
    public async ValueTask<ObjectDownload?> GetAsync(
        string name, long offsetBytes = 0, long? lengthBytes = null, CancellationToken cancellation = default)
    {
        ObjectName.Check(name);
        Counters.Request(RequestKind.Get, name);
        var stall = new StallGuard(time, Stall, cancellation);
        try
        {
            var request = new GetObjectRequest { BucketName = url.Bucket, Key = keyPrefix + name };
            // A range even for the whole of it: without one the SDK computes the MD5 of all that comes, in managed
            // code, which costs more than everything else about a restore. What is read here has its own SHA-256.
            request.ByteRange = lengthBytes is { } length
                ? new ByteRange(offsetBytes, offsetBytes + length - 1)
                : new ByteRange($"bytes={offsetBytes}-");
            GetObjectResponse response;
            try { response = await client.GetObjectAsync(request, stall.Token); }
            catch (AmazonServiceException e) when (e.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable
                && offsetBytes == 0 && lengthBytes is null)
            {
                // Nothing is in it.
                request.ByteRange = null;
                response = await client.GetObjectAsync(request, stall.Token);
            }
            long total = response.ContentRange is { } range
                && long.TryParse(range[(range.LastIndexOf('/') + 1)..], out long all)
                ? all : response.ContentLength;
            var body = new BoundedReadStream(new S3DownloadStream(response, stall), response.ContentLength,
                n => Counters.Received(name, n));
            return new ObjectDownload(body, response.ContentLength, total);
        }
        catch (Exception e)
        {
            stall.Dispose();
            if (S3Failure.IsNoSuchObject(e)) return null;
            if (IsCancelled(e, cancellation)) throw;
            throw Failure("Reading", name, e, S3Failure.OfRead(e));
        }
    }

    /// <inheritdoc/>
    public async ValueTask<ObjectInfo?> HeadAsync(string name, CancellationToken cancellation = default)
    {
        ObjectName.Check(name);
        Counters.Request(RequestKind.Head, name);
        using var stall = new StallGuard(time, Stall, cancellation);
        try
        {
            var request = new GetObjectMetadataRequest { BucketName = url.Bucket, Key = keyPrefix + name };
            var response = await client.GetObjectMetadataAsync(request, stall.Token);
            return new ObjectInfo(name, response.ContentLength, Utc(response.LastModified));
        }
        // A HEAD has no body that could say whether the object or the bucket is missing: the next GET or PUT will.
        catch (AmazonServiceException e) when (e.StatusCode == HttpStatusCode.NotFound) { return null; }
        catch (Exception e) when (!IsCancelled(e, cancellation))
        {
            throw Failure("Looking up", name, e, S3Failure.OfRead(e));
        }
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<ObjectInfo> ListAsync(
        string prefix, string? startAfter = null, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        var request = new ListObjectsV2Request
        {
            BucketName = url.Bucket,
            Prefix = keyPrefix + prefix,
            StartAfter = startAfter is null ? null : keyPrefix + startAfter,
        };
        for (bool more = true; more;)
        {
            var page = await ListPageAsync(request, prefix, cancellation);
            foreach (var found in page.S3Objects ?? [])
                yield return new ObjectInfo(found.Key[keyPrefix.Length..], found.Size ?? 0, Utc(found.LastModified));
            request.ContinuationToken = page.NextContinuationToken;
            more = page.IsTruncated == true && page.NextContinuationToken is not null;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DeleteAsync(IReadOnlyCollection<string> names, CancellationToken cancellation = default)
    {
        foreach (string name in names) ObjectName.Check(name);
        foreach (string[] batch in names.Chunk(DeleteBatch))
            if (batch.Length == 1 || deletesOneByOne || !await TryDeleteBatchAsync(batch, cancellation))
                foreach (string name in batch) await DeleteOneAsync(name, cancellation);
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        client.Dispose();
        return ValueTask.CompletedTask;
    }

    async ValueTask<ListObjectsV2Response> ListPageAsync(ListObjectsV2Request request, string prefix,
        CancellationToken cancellation)
    {
        Counters.Request(RequestKind.List, prefix);
        using var stall = new StallGuard(time, Stall, cancellation);
        try { return await client.ListObjectsV2Async(request, stall.Token); }
        catch (Exception e) when (!IsCancelled(e, cancellation))
        {
            throw Failure("Listing", prefix, e, S3Failure.OfRead(e));
        }
    }

    async ValueTask<bool> TryDeleteBatchAsync(string[] batch, CancellationToken cancellation)
    {
        Counters.Request(RequestKind.Delete, batch[0]);
        using var stall = new StallGuard(time, Stall, cancellation);
        var request = new DeleteObjectsRequest
        {
            BucketName = url.Bucket,
            Quiet = true,
            Objects = [.. batch.Select(name => new KeyVersion { Key = keyPrefix + name })],
        };
        try
        {
            await client.DeleteObjectsAsync(request, stall.Token);
            return true;
        }
        // Servers differ in which checksum they want on this one request, and Ceph asks for the right to the bucket
        // where a policy gives that to its objects; single deletes need neither.
        catch (AmazonServiceException e) when (e.StatusCode is HttpStatusCode.BadRequest
            or HttpStatusCode.NotImplemented or HttpStatusCode.Forbidden)
        {
            deletesOneByOne = true;
            return false;
        }
        catch (Exception e) when (!IsCancelled(e, cancellation))
        {
            throw Failure("Deleting", batch[0], e, S3Failure.OfWrite(e));
        }
    }

    async ValueTask DeleteOneAsync(string name, CancellationToken cancellation)
    {
        Counters.Request(RequestKind.Delete, name);
        using var stall = new StallGuard(time, Stall, cancellation);
        try { await client.DeleteObjectAsync(url.Bucket, keyPrefix + name, stall.Token); }
        catch (Exception e) when (S3Failure.IsNoSuchObject(e)) { }
        catch (Exception e) when (!IsCancelled(e, cancellation))
        {
            throw Failure("Deleting", name, e, S3Failure.OfWrite(e));
        }
    }

    static bool IsCancelled(Exception e, CancellationToken cancellation) =>
        e is OperationCanceledException && cancellation.IsCancellationRequested || e is RecoveryException;

    static DateTimeOffset Utc(DateTime? modified)
        => new(DateTime.SpecifyKind(modified?.ToUniversalTime() ?? default, DateTimeKind.Utc));

    ObjectStoreException Failure(string doing, string name, Exception cause, ObjectStoreError error)
    {
        Counters.Failed();
        return new ObjectStoreException(error,
            $"{doing} {name} in {Location} failed: {S3Failure.Describe(cause, Stall)}", cause)
        { Path = $"{Location}/{name}" };
    }
}
