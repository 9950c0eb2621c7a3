using System.Globalization;
using RecoveryVfs.RecoveryLog;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;
using YamlDotNet.RepresentationModel;

namespace RecoveryVfs.Cli.Replicate;

/// <summary>
/// A mapping of a config file whose keys are taken one by one, so that what nobody took is known at the end: a
/// misspelled key must not go unnoticed. Errors name the file and the line.
/// </summary>
internal sealed class YamlTree(string path, YamlMappingNode node)
{
    const int DepthMax = 16;

    readonly HashSet<string> taken = new(StringComparer.Ordinal);

    public static YamlTree Parse(string path, string text)
    {
        try
        {
            RequirePlain(path, text);
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

    /// <summary>
    /// No config file is nested deeply, has anything but words for keys, or has aliases within what an alias names:
    /// what has is read for very long, or ends the process.
    /// </summary>
    static void RequirePlain(string path, string text)
    {
        var parser = new Parser(new StringReader(text));
        var around = new Stack<Around>();
        while (parser.MoveNext())
        {
            var at = parser.Current!;
            if (at is MappingEnd or SequenceEnd) around.Pop();
            if (at is not (NodeEvent or AnchorAlias)) continue;
            var outer = around.TryPop(out var found) ? found : default;
            if (outer.IsKey && at is not Scalar)
                throw Wrong(path, at.Start.Line, "a key is a list, a mapping or an alias. Give a word");
            if (outer.IsNamed && at is AnchorAlias)
                throw Wrong(path, at.Start.Line, "an alias is within what another alias may name. Write it out");
            if (found.IsMapping || found.IsList) around.Push(outer with { IsKey = outer.IsMapping && !outer.IsKey });
            if (at is MappingStart or SequenceStart)
                around.Push(new Around(at is MappingStart, at is SequenceStart, at is MappingStart,
                    outer.IsNamed || !((NodeEvent)at).Anchor.IsEmpty));
            if (around.Count > DepthMax) throw Wrong(path, at.Start.Line, "it is nested too deeply");
        }
    }

    /// <summary>A mapping or list around; whether its next is a key, and whether an anchor names it or what it is in.
    /// </summary>
    readonly record struct Around(bool IsMapping, bool IsList, bool IsKey, bool IsNamed);

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
