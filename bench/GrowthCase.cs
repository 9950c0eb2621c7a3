using System.Diagnostics;
using System.Globalization;

namespace RecoveryVfs.Bench;

/// <summary>
/// How costs grow: a commit with the number of databases that commit in turn, opening with the number of databases and
/// with their size. The table and the plot are written to docs/.
/// </summary>
internal sealed class GrowthCase : Case
{
    static readonly int[] Databases = [1, 10, 100, 1000], Megabytes = [4, 40, 400];

    public override IReadOnlyList<string> Names =>
    [
        .. Databases.Select(n => $"growth-commits-{n}"), .. Databases.Select(n => $"growth-open-{n}"),
        .. Megabytes.Select(n => $"growth-open-{n}MB"),
    ];

    public override void Run(Place place, Report report)
    {
        var page = new GrowthPage();
        foreach (var count in Databases)
        {
            var (ours, stock) = Commits(place, count);
            report.AddCost($"growth-commits-{count}", "us a commit, in turn, not waited for", ours, stock, null);
            page.Add("A commit, by the number of databases that commit in turn", "databases", "us", count, ours, stock);
            (ours, stock) = Opening(place, "a0.db", "SELECT count(*) FROM t");
            report.AddCost($"growth-open-{count}", "ms to the first row, of so many databases", ours, stock, null);
            page.Add("Opening a store to the first row, by its databases", "databases", "ms", count, ours, stock);
            Clear(place);
        }
        foreach (var megabytes in Megabytes)
        {
            Table.Build(place.Ours, Table.RowsFor(megabytes));
            Table.Build(place.Stock, Table.RowsFor(megabytes));
            var (ours, stock) = Opening(place, "a.db", "SELECT length(v) FROM t WHERE id=77");
            report.AddCost($"growth-open-{megabytes}MB", "ms to the first row, of so many MB", ours, stock, null);
            page.Add("Opening a store to the first row, by its size", "MB", "ms", megabytes, ours, stock);
            Clear(place);
        }
        if (Directory.Exists("docs") && !place.Quick) page.Write("docs");
    }

    static (double Ours, double Stock) Commits(Place place, int databases)
    {
        var commits = Math.Max(place.Pick(8000, 2000), databases * 2);
        return Best(place, 5, (side, round) =>
        {
            var connections = Enumerable.Range(0, databases).Select(i => side.Open("OFF", $"a{i}.db")).ToList();
            foreach (var connection in connections)
                connection.Do("CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, v TEXT)");
            var inserts = connections.Select(c => c.Prepare("INSERT INTO t(v) VALUES(?)")).ToList();
            var text = new Text(round, 64 << 10);
            var started = Stopwatch.GetTimestamp();
            for (var i = 0; i < commits; i++) inserts[i % databases].Bind(1, text.Take(100)).First();
            var taken = Stopwatch.GetElapsedTime(started);
            foreach (var insert in inserts) insert.Dispose();
            foreach (var connection in connections) connection.Dispose();
            return taken.TotalMicroseconds / commits;
        });
    }

    static (double Ours, double Stock) Opening(Place place, string name, string query) => Best(place, 15, (side, _) =>
    {
        side.Settle();
        var started = Stopwatch.GetTimestamp();
        using var connection = side.Open(name: name, createsWal: false);
        connection.Do(query);
        return Stopwatch.GetElapsedTime(started).TotalMilliseconds;
    });

    /// <summary>
    /// The least of some rounds: what else the machine does only adds to it, and curves need little noise.
    /// </summary>
    static (double Ours, double Stock) Best(Place place, int rounds, Func<Side, int, double> work)
    {
        var (ours, stock) = (double.MaxValue, double.MaxValue);
        for (var round = 0; round < rounds; round++)
        {
            ours = Math.Min(ours, work(place.Ours, round));
            stock = Math.Min(stock, work(place.Stock, round));
        }
        return (ours, stock);
    }

    static void Clear(Place place)
    {
        foreach (var side in (Side[])[place.Ours, place.Stock])
        {
            side.Settle();
            Directory.Delete(side.Directory, recursive: true);
            Directory.CreateDirectory(side.Directory);
        }
    }
}

/// <summary>Tables and a plot of costs against sizes, both axes logarithmic.</summary>
internal sealed class GrowthPage
{
    const int Width = 340, Height = 240, Left = 60, Bottom = 40, Top = 34;

    sealed record Curve(string Title, string Of, string Unit, List<(double Size, double Ours, double Stock)> Points);

    readonly List<Curve> curves = [];

    public void Add(string title, string of, string unit, double size, double ours, double stock)
    {
        var curve = curves.Find(c => c.Title == title);
        if (curve is null) curves.Add(curve = new Curve(title, of, unit, []));
        curve.Points.Add((size, ours, stock));
    }

    public void Write(string directory)
    {
        File.WriteAllText(Path.Combine(directory, "growth.svg"), Svg());
        File.WriteAllText(Path.Combine(directory, "GROWTH.md"), Page());
    }

    static string N(double value) => value.ToString("0.##", CultureInfo.InvariantCulture);

    string Page()
    {
        var text = "# How costs grow\n\nMade by `./build.sh bench --only=growth`, which also draws [the "
            + "plot](growth.svg): ours, and stock SQLite with a file a\ndatabase, on the same disk, in turns, the "
            + "best of some rounds.\n\n![Costs against sizes](growth.svg)\n";
        foreach (var curve in curves)
        {
            text += $"\n## {curve.Title}\n\n| {curve.Of} | ours, {curve.Unit} | stock, {curve.Unit} |\n|---|---|---|\n";
            foreach (var (size, ours, stock) in curve.Points) text += $"| {N(size)} | {N(ours)} | {N(stock)} |\n";
        }
        return text;
    }

    string Svg()
    {
        var text = string.Create(CultureInfo.InvariantCulture,
            $"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{Width * curves.Count}\" height=\"{Height}\" "
                + $"font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" "
                + $"fill=\"white\"/>\n");
        for (var i = 0; i < curves.Count; i++)
            text += $"<g transform=\"translate({i * Width},0)\">\n{Plot(curves[i])}</g>\n";
        return text + "</svg>\n";
    }

    static string Plot(Curve curve)
    {
        var sizes = curve.Points.Select(p => p.Size).ToList();
        var costs = curve.Points.SelectMany(p => (double[])[p.Ours, p.Stock]).ToList();
        double X(double size) => Left + Share(size, sizes.Min(), sizes.Max()) * (Width - Left - 20);
        double Y(double cost)
            => Height - Bottom - Share(cost, costs.Min() / 1.5, costs.Max() * 1.5) * (Height - Bottom - Top);
        var text = $"<text x=\"{Left}\" y=\"16\" font-weight=\"bold\">{curve.Title}</text>\n<text x=\"{Left}\" "
            + $"y=\"{Height - 6}\">{curve.Of}</text>\n";
        text += $"<path d=\"M{Left} {Top} V{Height - Bottom} H{Width - 20}\" fill=\"none\" stroke=\"black\"/>\n";
        foreach (var size in sizes)
            text += $"<text x=\"{N(X(size))}\" y=\"{Height - Bottom + 14}\" text-anchor=\"middle\">{N(size)}</text>\n";
        foreach (var cost in (double[])[costs.Min(), costs.Max()])
            text += $"<text x=\"{Left - 4}\" y=\"{N(Y(cost))}\" text-anchor=\"end\">{N(cost)} {curve.Unit}</text>\n";
        text += Line("ours", "#c0392b", p => p.Ours) + Line("stock", "#7f8c8d", p => p.Stock);
        return text;

        string Line(string name, string color, Func<(double Size, double Ours, double Stock), double> cost)
        {
            var path = string.Join(' ', curve.Points.Select(p => $"{N(X(p.Size))},{N(Y(cost(p)))}"));
            var last = curve.Points[^1];
            return $"<polyline points=\"{path}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>\n<text "
                + $"x=\"{N(X(last.Size) - 4)}\" y=\"{N(Y(cost(last)) - 6)}\" fill=\"{color}\" "
                + $"text-anchor=\"end\">{name}</text>\n";
        }
    }

    static double Share(double value, double least, double most) => most > least
        ? Math.Log(value / least) / Math.Log(most / least)
        : 0.5;
}
