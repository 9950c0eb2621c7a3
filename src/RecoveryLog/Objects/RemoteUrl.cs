namespace RecoveryVfs.RecoveryLog.Objects;

/// <summary>
/// Where a remote is, as users write it:
/// <c>s3://bucket/prefix?endpoint=&amp;region=&amp;force-path-style=&amp;storage-class=</c> or
/// <c>file:///directory</c>. Credentials never stand in it.
/// </summary>
internal sealed record RemoteUrl
{
    RemoteUrl() { }

    /// <summary>The directory of a <c>file:</c> remote; null for S3.</summary>
    public string? Directory { get; private init; }

    /// <summary>The bucket of an S3 remote; null for a directory.</summary>
    public string? Bucket { get; private init; }

    /// <summary>The prefix inside the bucket, without slashes at its ends; may be empty.</summary>
    public string Prefix { get; private init; } = "";

    /// <summary>The server, when it is not AWS itself.</summary>
    public Uri? Endpoint { get; private init; }

    /// <summary>The region to sign for; null leaves it to the environment.</summary>
    public string? Region { get; private init; }

    /// <summary>Whether the bucket stands in the path (<c>host/bucket/key</c>) instead of in the host's name.</summary>
    public bool ForcePathStyle { get; private init; }

    /// <summary>The storage class of new objects; null is the bucket's default.</summary>
    public string? StorageClass { get; private init; }

    /// <summary>
    /// Reads a URL, completed by the environment: AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL (which imply path style) and
    /// AWS_REGION or AWS_DEFAULT_REGION. What stands in the URL wins.
    /// </summary>
    public static RemoteUrl Parse(string text, Func<string, string?>? environment = null)
    {
        environment ??= Environment.GetEnvironmentVariable;
        if (!Uri.TryCreate(text, UriKind.Absolute, out var uri)) throw Bad(text, "it is not a URL");
        if (!string.IsNullOrEmpty(uri.UserInfo))
            throw Bad(text, "credentials do not belong into it; use the usual AWS chain");
        if (uri.Fragment.Length > 0) throw Bad(text, "it has a '#' part");
        return uri.Scheme switch
        {
            "file" => ParseFile(text, uri),
            "s3" => ParseS3(text, uri, environment),
            var other => throw Bad(text, $"'{other}:' is not known"),
        };
    }

    /// <summary>Opens the object store that this names, with those that it stands on. Makes no request.</summary>
    public IObjectStore Open(bool readOnly = false, TimeProvider? time = null) =>
        new BasedObjectStore(OpenAlone(readOnly, time ?? TimeProvider.System), this, time ?? TimeProvider.System);

    /// <summary>Opens the object store that this names, alone.</summary>
    internal IObjectStore OpenAlone(bool readOnly, TimeProvider time) =>
        Directory is not null ? new FileObjectStore(Directory, readOnly) : new S3ObjectStore(this, time);

    /// <summary>
    /// How another place is called from here: the prefix in the same bucket, or the way from this directory to that
    /// one. Null where it is another kind, server or bucket.
    /// </summary>
    internal string? NameOf(RemoteUrl other) =>
        Directory is not null ? other.Directory is null ? null : Path.GetRelativePath(Directory, other.Directory)
        : other.Bucket == Bucket && other.Endpoint == Endpoint && other.Region == Region ? other.Prefix
        : null;

    /// <summary>Whether another URL names a place in the same bucket, or a directory as this does.</summary>
    internal bool IsBeside(RemoteUrl other) => Directory is null
        ? other.Directory is null && other.Bucket == Bucket && other.Endpoint == Endpoint
        : other.Directory is not null;

    /// <summary>Whether another URL names the same place.</summary>
    internal bool IsSamePlace(RemoteUrl other) => IsBeside(other)
        && (Directory is null ? other.Prefix == Prefix
        : Path.GetFullPath(other.Directory!).TrimEnd('/') == Path.GetFullPath(Directory).TrimEnd('/'));

    /// <summary>How a place within this one is called from here; null for any other.</summary>
    internal string? NameWithin(RemoteUrl inner)
    {
        if (!IsBeside(inner)) return null;
        var (outside, inside) = Directory is null ? (Prefix, inner.Prefix) : (Directory, inner.Directory!);
        var start = outside.Length == 0 ? "" : outside.TrimEnd('/') + '/';
        return inside.StartsWith(start, StringComparison.Ordinal) ? inside[start.Length..] : null;
    }

    /// <summary>The place that is called so from here. Throws Corrupt for a name that cannot be one.</summary>
    internal RemoteUrl At(string name)
    {
        if (Directory is null ? name.Length == 0 || ObjectName.IsValid(name) : name.Length > 0 && !name.Contains('\0'))
            return Directory is null ? this with { Prefix = name }
                : this with { Directory = Path.GetFullPath(Path.Combine(Directory, name)) };
        throw new RecoveryException(RecoveryError.Corrupt, $"'{name}' names no place beside {this}.",
            "Check the object base.json there");
    }

    /// <summary>The URL again.</summary>
    public override string ToString()
    {
        if (Directory is not null) return new Uri(Directory).AbsoluteUri;
        var options = new List<string>();
        if (Endpoint is not null) options.Add($"endpoint={Endpoint.AbsoluteUri.TrimEnd('/')}");
        if (Region is not null) options.Add($"region={Region}");
        if (ForcePathStyle != Endpoint is not null)
            options.Add($"force-path-style={(ForcePathStyle ? "true" : "false")}");
        if (StorageClass is not null) options.Add($"storage-class={StorageClass}");
        string query = options.Count == 0 ? "" : "?" + string.Join('&', options);
        return $"s3://{Bucket}{(Prefix.Length == 0 ? "" : "/" + Prefix)}{query}";
    }

    static RemoteUrl ParseFile(string text, Uri uri)
    {
        if (uri.Host.Length > 0) throw Bad(text, "a directory takes three slashes: file:///directory");
        if (uri.Query.Length > 0) throw Bad(text, "a directory takes no options");
        string path = Uri.UnescapeDataString(uri.AbsolutePath);
        if (path is "" or "/" || path.Contains('\0')) throw Bad(text, "it names no directory");
        return new RemoteUrl { Directory = Path.GetFullPath(path) };
    }

    static RemoteUrl ParseS3(string text, Uri uri, Func<string, string?> environment)
    {
        string prefix = Uri.UnescapeDataString(uri.AbsolutePath).Trim('/');
        if (uri.Host.Length == 0) throw Bad(text, "it names no bucket");
        if (prefix.Length > 0 && !ObjectName.IsValid(prefix))
            throw Bad(text, "the prefix may have letters, digits, '.', '_', '~', '-' and '/'");
        var options = S3Options(text, uri);
        string? endpoint = options.GetValueOrDefault("endpoint")
            ?? (environment("AWS_ENDPOINT_URL_S3") is { Length: > 0 } s3 ? s3 : environment("AWS_ENDPOINT_URL"));
        string? region = options.GetValueOrDefault("region")
            ?? (environment("AWS_REGION") is { Length: > 0 } r ? r : environment("AWS_DEFAULT_REGION"));
        return new RemoteUrl
        {
            // Uri lower-cases hosts; that is right for buckets, which have no capitals.
            Bucket = uri.Host,
            Prefix = prefix,
            Endpoint = string.IsNullOrEmpty(endpoint) ? null : ParseEndpoint(text, endpoint),
            Region = string.IsNullOrEmpty(region) ? null : region,
            ForcePathStyle = options.GetValueOrDefault("force-path-style") switch
            {
                null => !string.IsNullOrEmpty(endpoint),
                "true" or "1" or "yes" or "on" => true,
                "false" or "0" or "no" or "off" => false,
                _ => throw Bad(text, "'force-path-style' is true or false"),
            },
            StorageClass = options.GetValueOrDefault("storage-class"),
        };
    }

    static Dictionary<string, string> S3Options(string text, Uri uri)
    {
        var options = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (string option in uri.Query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            int equals = option.IndexOf('=');
            string key = equals < 0 ? option : option[..equals];
            string value = equals < 0 ? "" : Uri.UnescapeDataString(option[(equals + 1)..]);
            if (value.Length == 0) throw Bad(text, $"'{key}' has no value");
            if (key is not ("endpoint" or "region" or "force-path-style" or "storage-class"))
                throw Bad(text, $"'{key}' is not known (endpoint, region, force-path-style, storage-class are)");
            options[key] = value;
        }
        return options;
    }

    static Uri ParseEndpoint(string text, string endpoint) =>
        !Uri.TryCreate(endpoint, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https")
            || uri.Host.Length == 0
            ? throw Bad(text, "the endpoint is not an http or https URL")
            : uri.UserInfo.Length > 0 || uri.Query.Length > 0
            ? throw Bad(text, "credentials and options do not belong into the endpoint; use the usual AWS chain")
            : uri;

    static RecoveryException Bad(string text, string why) =>
        new(RecoveryError.Invalid,
            $"The remote '{Shown(text)}' cannot be used: {why}.",
            "Write s3://bucket/prefix or file:///directory");

    /// <summary>
    /// What messages may show of a URL that may have been written wrongly, with a key or password anywhere in it.
    /// </summary>
    static string Shown(string text)
    {
        int options = text.IndexOfAny(['?', '#']);
        string place = options < 0 ? text : text[..options] + "?...";
        int user = place.LastIndexOf('@');
        return user < 0 ? place : "..." + place[user..];
    }
}
