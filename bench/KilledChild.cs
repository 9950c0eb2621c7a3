using System.Diagnostics;
using System.Globalization;

namespace RecoveryVfs.Bench;

/// <summary>A process of its own that updates a database and is killed in the middle of it.</summary>
internal static class KilledChild
{
    /// <summary>Starts one, lets it commit so many updates and a few more, and kills it.</summary>
    public static void WriteAndDie(Side side, int rows, int commits, int seed)
    {
        string[] arguments =
            ["--child", side.IsOurs ? "ours" : "stock", side.Directory, $"{rows}", $"{commits}", $"{seed}"];
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true };
        foreach (var argument in arguments) start.ArgumentList.Add(argument);
        using var child = Process.Start(start)!;
        if (child.StandardOutput.ReadLine() != "ready")
            throw new InvalidOperationException("The child process failed.");
        child.Kill();
        child.WaitForExit();
    }

    public static int Run(string[] arguments)
    {
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
        var side = new Side(arguments[0] == "ours", arguments[1]);
        int Number(int at) => int.Parse(arguments[at], CultureInfo.InvariantCulture);
        var (rows, commits, seed) = (Number(2), Number(3), Number(4));
        var random = new Random(seed);
        var text = new Text(seed);
        using var connection = side.Open("OFF");
        using var update = connection.Prepare("UPDATE t SET v=? WHERE id=?");
        for (var i = 0; ; i++)
        {
            update.Bind(1, text.Take(Table.RowBytes)).Bind(2, random.Next(rows) + 1).First();
            if (i == commits) Console.WriteLine("ready");
        }
    }
}
