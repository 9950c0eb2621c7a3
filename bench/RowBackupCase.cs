using System.Diagnostics;

namespace RecoveryVfs.Bench;

/// <summary>
/// Rows as JSON lines out of a store and into one, by the program, against <c>sqlite3</c>'s <c>.dump</c> and
/// <c>.read</c> of the same rows.
/// </summary>
internal sealed class RowBackupCase : Case
{
    public override IReadOnlyList<string> Names => ["rows-export", "rows-import"];

    static string Recovery => Path.GetFullPath("dist/recovery");

    public override void Run(Place place, Report report)
    {
        if (!File.Exists(Recovery))
        {
            Console.Error.WriteLine($"{Names[0]}: left out, {Recovery} is missing.");
            return;
        }
        var rows = place.Pick(4_000_000, 400_000);
        RowsCase.Build(place.Stock, rows);
        var (plain, data) = (place.Stock.PathOf("a.db"), Directory.CreateDirectory(place.Ours.PathOf("data")).FullName);
        Do(Recovery, null, "import", plain, Path.Combine(data, "a.db"));
        var (lines, dump) = (place.Ours.PathOf("a.jsonl"), place.Stock.PathOf("a.sql"));
        var rounds = place.Rounds(3, 3);
        var export = Interleaved.Seconds(place, rounds, (side, _) =>
        {
            if (side.IsOurs) Do(Recovery, null, "export", Path.Combine(data, "a.db"), "--format", "jsonl", "--force",
                "-o", lines);
            else Do("sqlite3", dump, plain, ".dump");
        });
        report.AddCost("rows-export", "s, JSON lines (stock: .dump)", export.Ours, export.Stock, 2.0);
        var import = Interleaved.Seconds(place, rounds, (side, round) =>
        {
            if (side.IsOurs) Do(Recovery, null, "import", lines, Path.Combine(data, $"b{round}.db"));
            else Do("sqlite3", null, place.Stock.PathOf($"b{round}.db"), $".read {dump}");
        });
        report.AddCost("rows-import", "s, JSON lines (stock: .read)", import.Ours, import.Stock, 1.0);
    }

    static void Do(string program, string? output, params string[] arguments)
    {
        using var process = Process.Start(
            new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var errors = process.StandardError.ReadToEndAsync();
        using (var target = output is null ? Stream.Null : File.Create(output))
            process.StandardOutput.BaseStream.CopyTo(target);
        process.WaitForExit();
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"{program} {arguments[0]} ended with {process.ExitCode}: "
                + errors.Result);
    }
}
