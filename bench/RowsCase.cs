using System.Diagnostics;
using RecoveryVfs.Rows;
using SQLitePCL;

namespace RecoveryVfs.Bench;

/// <summary>
/// Rows read from a plain file's pages against SQLite's <c>SELECT *</c> on the same file, every value looked at; and
/// the difference of two versions of it, when it is known which pages differ.
/// </summary>
internal sealed class RowsCase : Case
{
    const int ChangedRows = 100;

    public override IReadOnlyList<string> Names => ["rows-scan", "rows-difference"];

    public override void Run(Place place, Report report)
    {
        var rows = place.Pick(4_000_000, 400_000);
        Build(place.Stock, rows);
        var path = place.Stock.PathOf("a.db");
        Table.Warm(place.Stock);
        var scan = Interleaved.Values(place, place.Rounds(5, 5), (side, _) =>
        {
            var started = Stopwatch.GetTimestamp();
            var read = side.IsOurs ? ReadPages(path) : Select(place.Stock);
            if (read.Rows != rows || read.Bytes == 0) throw new InvalidOperationException("A row is missing.");
            return rows / Stopwatch.GetElapsedTime(started).TotalSeconds;
        });
        report.AddRate("rows-scan", "rows/s", scan.Ours, scan.Stock, 0.7);
        report.AddLimited("rows-difference", "ms", Difference(place, path, rows), 20);
    }

    public static void Build(Side side, int rows)
    {
        var text = new Text(5);
        using var connection = side.Open("OFF");
        connection.Do(
            "CREATE TABLE person(id INTEGER PRIMARY KEY, created INT, email TEXT, status TEXT, score REAL, notes "
                + "TEXT)");
        connection.Do("BEGIN");
        using (var insert =
            connection.Prepare("INSERT INTO person(created, email, status, score, notes) VALUES(?, ?, ?, ? / 8.0, ?)"))
        {
            for (var row = 0; row < rows; row++)
            {
                insert.Bind(1, 1_700_000_000L + text.Next(50_000_000))
                    .Bind(2, System.Text.Encoding.UTF8.GetBytes(
                    $"user{text.Next(10_000_000)}@example{text.Next(50)}.com"));
                insert.Bind(3, row % 4 == 0 ? "blocked"u8 : "active"u8).Bind(4, text.Next(1000))
                    .Bind(5, text.Take(100 + text.Next(200))).First();
            }
        }
        connection.Do("COMMIT");
        connection.Do("PRAGMA wal_checkpoint(TRUNCATE)");
    }

    static (long Rows, long Bytes) ReadPages(string path)
    {
        using var pages = new FilePages(path);
        var cursor = new RowReader(pages).Read("person");
        var columns = cursor.Table.Columns.Count;
        long rows = 0, bytes = 0;
        for (; cursor.Read(); rows++)
        {
            for (var i = 0; i < columns; i++)
            {
                var value = cursor[i];
                bytes += value.Kind == ValueKind.Integer
                    ? value.Integer & 7 : value.Kind == ValueKind.Real ? 8 : value.Bytes.Length;
            }
        }
        return (rows, bytes);
    }

    static (long Rows, long Bytes) Select(Side side)
    {
        using var connection = side.Open();
        using var select = connection.Prepare("SELECT * FROM person");
        var columns = raw.sqlite3_column_count(select.Raw);
        long rows = 0, bytes = 0;
        for (; select.Step(); rows++)
        {
            for (var i = 0; i < columns; i++)
            {
                bytes += raw.sqlite3_column_type(select.Raw, i) switch
                {
                    raw.SQLITE_INTEGER => raw.sqlite3_column_int64(select.Raw, i) & 7,
                    raw.SQLITE_FLOAT => raw.sqlite3_column_double(select.Raw, i) > -1 ? 8 : 0,
                    _ => raw.sqlite3_column_blob(select.Raw, i).Length,
                };
            }
        }
        return (rows, bytes);
    }

    /// <summary>
    /// Milliseconds to find the changed rows, from opening both versions on. Which pages differ, the log knows; here it
    /// is found before.
    /// </summary>
    static double Difference(Place place, string path, int rows)
    {
        var old = path + ".before";
        File.Copy(path, old, overwrite: true);
        using (var connection = place.Stock.Open("OFF"))
        {
            connection.Do($"UPDATE person SET score = score + 1 WHERE id % {rows / ChangedRows} = 1");
            connection.Do("PRAGMA wal_checkpoint(TRUNCATE)");
        }
        using var before = new FilePages(old);
        using var after = new FilePages(path);
        var known = new KnownPages(before, after);
        var times = new double[place.Rounds(9, 9)];
        for (var i = 0; i < times.Length; i++)
        {
            var started = Stopwatch.GetTimestamp();
            var difference = new VersionDifference(new RowReader(before), new RowReader(after), known);
            var changes = difference.Tables.Sum(t => t.Changes().Count());
            times[i] = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
            if (changes != ChangedRows)
                throw new InvalidOperationException($"{changes} rows differ, not {ChangedRows}.");
        }
        File.Delete(old);
        return Interleaved.Median(times);
    }

    sealed class KnownPages : IPageComparison
    {
        readonly System.Collections.BitArray equal;

        public KnownPages(FilePages before, FilePages after)
        {
            equal = new System.Collections.BitArray((int)before.PageCount + 1);
            var (a, b) = (new byte[before.PageSize], new byte[before.PageSize]);
            for (uint page = 1; page <= Math.Min(before.PageCount, after.PageCount); page++)
            {
                before.Read(page, a);
                after.Read(page, b);
                equal[(int)page] = a.AsSpan().SequenceEqual(b);
            }
        }

        public bool SurelyEqual(uint page) => equal[(int)page];
    }
}
