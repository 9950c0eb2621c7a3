using System.Globalization;
using RecoveryVfs.RecoveryLog;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace RecoveryVfs.Cli.Replicate;

/// <summary>
/// A mapping of a config file whose keys are taken one by one, so that what nobody took is known at the end: a
/// misspelled key must not go unnoticed. Errors name the file and the line.
/// </summary>
internal sealed class YamlTree(string path, YamlMappingNode node)
{
    readonly HashSet<string> taken = new(StringComparer.Ordinal);

    public static YamlTree Parse(string path, string text)
    {
        try
        {
            var stream = new YamlStream();
            stream.Load(new StringReader(text));
            return stream.Documents switch
            {
                [{ RootNode: YamlMappingNode root }] => new(path, root),
                [] => throw Wrong(path, 1, "it is empty. It needs dbs:"),
                _ => throw Wrong(path, 1, "it is not one mapping of keys to values"),
            };
        }
        catch (YamlException e)
        {
            throw Wrong(path, e.Start.Line, $"it is no YAML: {e.Message}");
        }
    }

    static RecoveryException Wrong(string path, long line, string what)
        => new(RecoveryError.Invalid, $"Line {line} of {path}: {what.TrimEnd('.')}.");

    public RecoveryException Wrong(string key, string what)
        => Wrong(path, Node(key)?.Start.Line ?? node.Start.Line, $"{key}: {what}");

    YamlNode? Node(string key)
        => node.Children.FirstOrDefault(c => c.Key is YamlScalarNode { Value: var name } && name == key).Value;

    public IEnumerable<string> Keys => node.Children.Keys.OfType<YamlScalarNode>().Select(k => k.Value ?? "");

    public bool Has(string key) => Node(key) is not null;

    /// <summary>Keys that nobody asked for.</summary>
    public IEnumerable<string> Untaken => Keys.Where(k => !taken.Contains(k));

    public string? Text(string key)
    {
        taken.Add(key);
        return Node(key) switch
        {
            null => null,
            YamlScalarNode scalar => string.IsNullOrEmpty(scalar.Value) ? null : scalar.Value,
            _ => throw Wrong(key, "it takes one value"),
        };
    }

    public bool Flag(string key, bool otherwise = false) => Text(key)?.ToLowerInvariant() switch
    {
        null => otherwise,
        "true" or "on" or "yes" or "1" => true,
        "false" or "off" or "no" or "0" => false,
        var other => throw Wrong(key, $"'{other}' is neither true nor false"),
    };

    public long? Number(string key) => Text(key) is not { } text ? null
        : long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
        ? number
        : throw Wrong(key, $"'{text}' is no number");

    /// <summary>A time as Go writes it: 1s, 500ms, 24h, 1h30m.</summary>
    public TimeSpan? Duration(string key)
    {
        if (Text(key) is not { } text) return null;
        var total = TimeSpan.Zero;
        var rest = text.AsSpan();
        while (rest.Length > 0)
        {
            var digits = rest.IndexOfAnyExcept("0123456789.");
            if (digits <= 0
                || !double.TryParse(rest[..digits], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture,
                out var number))
                throw Wrong(key, $"'{text}' is no time. Give one as 1s, 500ms or 24h");
            rest = rest[digits..];
            var letters = rest.IndexOfAny("0123456789.") is var end and >= 0 ? end : rest.Length;
            total += rest[..letters] switch
            {
                "ms" => TimeSpan.FromMilliseconds(number),
                "s" => TimeSpan.FromSeconds(number),
                "m" => TimeSpan.FromMinutes(number),
                "h" => TimeSpan.FromHours(number),
                "d" => TimeSpan.FromDays(number),
                _ => throw Wrong(key, $"'{text}' is no time. Give one as 1s, 500ms or 24h"),
            };
            rest = rest[letters..];
        }
        return total;
    }

    public YamlTree? Map(string key)
    {
        taken.Add(key);
        return Node(key) switch
        {
            null or YamlScalarNode { Value: null or "" } => null,
            YamlMappingNode map => new(path, map),
            _ => throw Wrong(key, "it takes keys and values"),
        };
    }

    public IReadOnlyList<YamlTree> Maps(string key)
    {
        taken.Add(key);
        return Node(key) switch
        {
            null or YamlScalarNode { Value: null or "" } => [],
            YamlSequenceNode list
                => [.. list.Select(n => n as YamlMappingNode
                    is { } map ? new YamlTree(path, map)
                    : throw Wrong(key, "each of its entries takes keys and values"))],
            _ => throw Wrong(key, "it takes a list"),
        };
    }
}
