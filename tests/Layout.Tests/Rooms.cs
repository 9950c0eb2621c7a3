using System.Text.RegularExpressions;

namespace RecoveryVfs.Layout.Tests;

/// <summary>
/// The rooms as docs/DESIGN.md draws them: a table between two marks, one row a folder, from the lowest to the highest
/// of a layer. A row names what the room may use.
/// </summary>
static partial class Rooms
{
    /// <summary>The namespaces that each room may use, by the room's own namespace.</summary>
    public static IReadOnlyDictionary<string, IReadOnlySet<string>> Documented { get; } = Read();

    static string Section(string name)
    {
        var text = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "DESIGN.md"));
        var (begin, end) = ($"<!-- {name}: begin -->", $"<!-- {name}: end -->");
        var from = text.IndexOf(begin, StringComparison.Ordinal);
        var to = text.IndexOf(end, StringComparison.Ordinal);
        Assert.True(from >= 0 && to > from,
            $"docs/DESIGN.md has lost its marks {begin} and {end}: the layout cannot be checked.");
        return text[(from + begin.Length)..to];
    }

    static Dictionary<string, IReadOnlySet<string>> Read()
    {
        var rooms = new Dictionary<string, IReadOnlySet<string>>();
        foreach (Match row in Row().Matches(Section("rooms")))
        {
            var uses = Name().Matches(row.Groups[3].Value).Select(m => Namespace(m.Groups[1].Value));
            rooms.Add(Namespace(row.Groups[1].Value), uses.ToHashSet());
        }
        return rooms;
    }

    /// <summary>`PageStore/Reading` is the namespace RecoveryVfs.PageStore.Reading; `Vfs` is RecoveryVfs.</summary>
    static string Namespace(string folder) =>
        "RecoveryVfs"
            + (folder == "Vfs" ? "" : "." + folder.Replace("Vfs/", "", StringComparison.Ordinal).Replace('/', '.'));

    [GeneratedRegex(@"^\| `([\w/]+)` \| (.*?) \| (.*?) \|", RegexOptions.Multiline)]
    private static partial Regex Row();

    [GeneratedRegex(@"`([\w/]+)`")]
    private static partial Regex Name();
}
