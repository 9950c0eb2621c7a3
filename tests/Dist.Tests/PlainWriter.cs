using System.Diagnostics;
using System.Globalization;

namespace RecoveryVfs.Dist.Tests;

/// <summary>
/// An application of some language that knows nothing of any replicator: it commits rows (who, n) of a plain database,
/// n from 1 on, some fifty a second so that each has its turn, and prints each n when its commit has returned.
/// </summary>
internal sealed class PlainWriter : IDisposable
{
    const string Python = """
        import sqlite3, sys, time
        path, who = sys.argv[1:]
        db = sqlite3.connect(path, timeout=120, isolation_level=None)
        for n in range(1, 10 ** 9):
            db.execute('BEGIN IMMEDIATE')
            db.execute('INSERT INTO log VALUES (?, ?, randomblob(?))', (who, n, n * 37 % 2500))
            if n % 40 == 0: db.execute('DELETE FROM filler WHERE rowid % 3 = 0')
            db.execute('COMMIT')
            print(n, flush=True)
            time.sleep(0.02)
        """;

    const string Node = """
        const [path, who] = process.argv.slice(1);
        const db = new (require('better-sqlite3'))(path, { timeout: 120000 });
        const insert = db.prepare('INSERT INTO log VALUES (?, ?, randomblob(?))');
        const fill = db.prepare('INSERT INTO filler VALUES (randomblob(900))');
        const transaction = db.transaction(n => {
          insert.run(who, n, n * 53 % 2500);
          if (n % 20 === 0) for (let i = 0; i < 50; i++) fill.run();
        });
        for (let n = 1; ; n++) {
          transaction.immediate(n);
          require('fs').writeSync(1, n + '\n');
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
        }
        """;

    readonly Process process;
    readonly Task reading;
    readonly Task<string> errors;
    long acknowledged;

    PlainWriter(string who, Process process)
    {
        (Who, this.process) = (who, process);
        errors = process.StandardError.ReadToEndAsync();
        reading = Task.Run(Read);
    }

    public string Who { get; }

    /// <summary>The newest n whose commit has returned.</summary>
    public long Acknowledged => Volatile.Read(ref acknowledged);

    public static PlainWriter Start(string language, string path) => new(language, language switch
    {
        "python" => Command.Start([], "/usr/bin/python3", "-c", Python, path, language),
        "node" => Command.Start(new()
        {
            ["NODE_PATH"] = Path.Combine(Path.GetDirectoryName(NodeExample.Script)!, "node_modules"),
        }, "node", "-e", Node, path, language),
        _ => StartShell(path, language),
    });

    /// <summary>The sqlite3 shell with the statements coming down its input.</summary>
    static Process StartShell(string path, string who)
    {
        // stdbuf: the shell would keep what it prints until it ends.
        var shell = Command.Start([], "stdbuf", "-oL", "sqlite3", "-batch", "-bail", "-cmd", ".timeout 120000", path);
        _ = Task.Run(() =>
        {
            try
            {
                for (var n = 1; ; n++)
                {
                    shell.StandardInput.WriteLine(
                        $"INSERT INTO log VALUES('{who}', {n}, randomblob({n * 29 % 2500})); SELECT {n};");
                    shell.StandardInput.Flush();
                    Thread.Sleep(20);
                }
            }
            catch (Exception e) when (e is IOException or InvalidOperationException)
            {
                // It was told to end.
            }
        });
        return shell;
    }

    async Task Read()
    {
        while (await process.StandardOutput.ReadLineAsync() is { } line)
            Volatile.Write(ref acknowledged, long.Parse(line, CultureInfo.InvariantCulture));
    }

    /// <summary>Waits until so many more commits have returned.</summary>
    public void Until(long more)
    {
        var (wanted, started) = (Acknowledged + more, Stopwatch.GetTimestamp());
        while (Acknowledged < wanted)
        {
            Assert.False(process.HasExited, $"{Who} ended: {(process.HasExited ? errors.Result : "")}");
            Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromMinutes(4), $"{Who} commits nothing any more");
            Thread.Sleep(10); // Another process: there is nothing to wait on.
        }
    }

    /// <summary>Ends it by force; it was well until then, and no statement of it had failed.</summary>
    public void End()
    {
        Assert.False(process.HasExited, $"{Who} ended: {(process.HasExited ? errors.Result : "")}");
        process.Kill();
        process.WaitForExit();
        reading.Wait();
        Assert.Equal("", errors.Result);
    }

    public void Dispose()
    {
        if (!process.HasExited) process.Kill();
        process.WaitForExit();
        process.Dispose();
    }
}
