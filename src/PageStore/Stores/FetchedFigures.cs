using System.Globalization;

namespace RecoveryVfs.PageStore.Stores;

/// <summary>How much is here of the files that come when they are read.</summary>
/// <param name="BytesHere">Bytes of the files that are here.</param>
/// <param name="Bytes">All bytes of those files.</param>
/// <param name="FilesHere">Files that are whole.</param>
/// <param name="Files">All files that began so, and are still needed.</param>
public readonly record struct FetchedFigures(long BytesHere, long Bytes, int FilesHere, int Files)
{
    /// <summary>What <c>PRAGMA recovery_fetched</c> says of it.</summary>
    internal static string Text(FetchedFigures? figures) =>
        figures is { } fetched && fetched.FilesHere < fetched.Files
            ? string.Create(CultureInfo.InvariantCulture,
                $"{fetched.BytesHere} of {fetched.Bytes} bytes, {fetched.FilesHere} of {fetched.Files} files")
            : "all";

    /// <summary>Names and values for status reports.</summary>
    internal IEnumerable<KeyValuePair<string, string>> Rows() =>
        new (string Name, long Value)[]
        {
            ("fetched_bytes", BytesHere), ("fetched_bytes_max", Bytes),
            ("fetched_files", FilesHere), ("fetched_files_max", Files),
        }.Select(r => KeyValuePair.Create(r.Name, r.Value.ToString(CultureInfo.InvariantCulture)));
}
