using System.Diagnostics;

namespace RecoveryVfs.Bench;

/// <summary>A plain SQLite file from a remote in a directory, against `cp` of that file.</summary>
internal sealed class RestoreFileCase : Case
{
    public override IReadOnlyList<string> Names => ["restore-file"];

    public override void Run(Place place, Report report)
    {
        var megabytes = place.Pick(1000, 150);
        var url = new Uri(place.Ours.PathOf("remote")).AbsoluteUri;
        RemoteChild.Run("ship", place.Ours.Directory, url, megabytes);
        var (file, copy) = (place.Ours.PathOf("restored.db"), place.Stock.PathOf("copy.db"));
        RestoreFrom(url, file);
        File.Copy(file, place.Stock.PathOf("original.db"));
        var (ours, stock) = Interleaved.Seconds(place, place.Rounds(5, 3), (side, _) =>
        {
            File.Delete(side.IsOurs ? file : copy);
            if (side.IsOurs) RestoreFrom(url, file);
            else Run("cp", place.Stock.PathOf("original.db"), copy);
        });
        report.AddCost("restore-file", $"s, {megabytes} MB from file:// (stock: cp)", ours, stock, 0.5);
    }

    public static void RestoreFrom(string url, string file)
        => Run(Path.GetFullPath("dist/recovery"), "restore", url, "--database", "a.db", "-o", file);

    static void Run(string program, params string[] arguments)
    {
        using var process =
            Process.Start(
            new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })
            !;
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"{program} {string.Join(' ', arguments)}: {output.Result}{errors}");
    }
}
