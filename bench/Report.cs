using System.Globalization;
using System.Text.Json;

namespace RecoveryVfs.Bench;

/// <summary>The rows: a table for people as they come, and a JSON file at the end.</summary>
internal sealed class Report(string path, bool quick)
{
    /// <summary>A row of the JSON file. A ratio above 1 means that ours is better.</summary>
    internal sealed record Row(string Name, string Unit, double Ours, double Stock, double Ratio);

    readonly List<(Row Row, double? Goal)> rows = [];

    /// <summary>A row where more is better.</summary>
    public void AddRate(string name, string unit, double ours, double stock, double? goal)
        => Add(new Row(name, unit, ours, stock, ours / stock), goal);

    /// <summary>A row where less is better.</summary>
    public void AddCost(string name, string unit, double ours, double stock, double? goal)
        => Add(new Row(name, unit, ours, stock, stock / ours), goal);

    /// <summary>A row where ours may cost some more than stock: the ratio is of that bound to what it costs.</summary>
    public void AddBounded(string name, string unit, double ours, double stock, double allowance) =>
        Add(new Row(name, $"{unit} (bound: stock + {allowance.ToString(CultureInfo.InvariantCulture)})", ours, stock,
            (stock + allowance) / ours), 1.0);

    /// <summary>A row without a stock side: ours may cost so much.</summary>
    public void AddLimited(string name, string unit, double ours, double limit)
        => Add(new Row(name, $"{unit} (limit, not stock)", ours, limit, limit / ours), 1.0);

    void Add(Row row, double? goal)
    {
        row = row with { Ours = Round(row.Ours), Stock = Round(row.Stock), Ratio = Round(row.Ratio) };
        rows.Add((row, goal));
        Console.Error.WriteLine(Line(row, goal));
    }

    static double Round(double value) =>
        value == 0 || !double.IsFinite(value)
            ? 0
            : Math.Round(value, Math.Clamp(3 - (int)Math.Floor(Math.Log10(Math.Abs(value))), 0, 6));

    static string Line(Row row, double? goal) => string.Create(CultureInfo.InvariantCulture,
        $"{row.Name,-26} {row.Ours,12:0.###} {row.Stock,12:0.###} {row.Ratio,8:0.00} "
            + $"{(goal is { } g ? g.ToString("0.0", CultureInfo.InvariantCulture) : "-"),6}  "
            + $"{(goal is null ? " " : row.Ratio >= goal ? "+" : "-")}  {row.Unit}");

    /// <summary>
    /// Prints the table and writes the file; when only some cases ran, the other rows of an earlier file stay.
    /// </summary>
    public void Finish(bool complete)
    {
        Console.WriteLine();
        Console.WriteLine(
            $"{"name",-26} {"ours",12} {"stock",12} {"ratio",8} {"goal",6}     "
                + $"unit{(quick ? "  (--quick: small sizes)" : "")}");
        foreach (var (row, goal) in rows) Console.WriteLine(Line(row, goal));
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        var options =
            new JsonSerializerOptions { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.CamelCase };
        var all = rows.Select(r => r.Row).ToList();
        if (!complete && File.Exists(path))
        {
            var earlier = JsonSerializer.Deserialize<List<Row>>(File.ReadAllText(path), options) ?? [];
            all = [.. earlier.Where(e => all.All(r => r.Name != e.Name)), .. all];
        }
        File.WriteAllText(path, JsonSerializer.Serialize(all, options) + "\n");
    }
}
