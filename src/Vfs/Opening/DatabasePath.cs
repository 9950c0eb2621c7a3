using System.Text;
using System.Text.Unicode;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.Opening;

/// <summary>
/// The path of a database, from SQLite's bytes. Its name becomes a line of a stub, a record of the log and a word of
/// messages: what cannot be told apart there, or would end the line, is refused before anything is made under it.
/// </summary>
internal static class DatabasePath
{
    /// <summary>Whether no two paths look the same as text.</summary>
    public static bool IsText(ReadOnlySpan<byte> path) => Utf8.IsValid(path);

    /// <summary>The path as text; throws when the name is none that a database may have.</summary>
    public static string Of(ReadOnlySpan<byte> path)
    {
        var text = Encoding.UTF8.GetString(path);
        var name = Path.GetFileName(text);
        var problem = !IsText(path)
            ? "is not UTF-8" : DeletedName.Is(name) ? "is one that deleted databases have" : DatabaseName.Problem(name);
        return problem is null ? text : throw new RecoveryException(RecoveryError.CannotOpen,
            $"No database can be called \"{DatabaseName.Shown(text)}\": the name {problem}.", "Choose another one.");
    }

    /// <summary>A path as SQLite takes it in a URI.</summary>
    public static string UriOf(string path)
        => "file:" + path.Replace("%", "%25").Replace("?", "%3f").Replace("#", "%23");
}
