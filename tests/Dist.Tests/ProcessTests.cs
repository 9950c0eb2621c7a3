
namespace RecoveryVfs.Dist.Tests;

/// <summary>Several processes, of several languages, and one store.</summary>
public sealed class ProcessTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Every_commit_that_returned_survives_kill_9_and_is_read_by_another_language(int round)
    {
        using var store = new StoreDirectory();
        using var writer =
            Command.Start([], Repository.HostProgram("commits"), Repository.Extension, store.Uri, "1000000");
        var returned = 0L;
        while (returned < 400 * round)
            returned = long.Parse(await writer.StandardOutput.ReadLineAsync()
                ?? throw new InvalidOperationException("The writer ended."));
        writer.Kill();
        // Lines already in the pipe are commits that returned, too.
        while (await writer.StandardOutput.ReadLineAsync() is { } line)
            returned = long.Parse(line);
        await writer.WaitForExitAsync();
        var found = store.Shell("SELECT max(x) FROM n; SELECT count(*) FROM n; PRAGMA integrity_check").MustSucceed()
            .Lines;
        Assert.InRange(long.Parse(found[0]), returned, returned + 1);
        Assert.Equal(found[0], found[1]);
        Assert.Equal("ok", found[2]);
    }

    [Fact]
    public async Task A_second_writing_process_is_told_who_has_the_store()
    {
        using var store = new StoreDirectory();
        using var holder = Command.Start([], Repository.HostProgram("commits"), Repository.Extension, store.Uri, "10");
        while (await holder.StandardOutput.ReadLineAsync() is { } line && line != "10") { }
        var second = Python(store.Uri, "print(db.execute('SELECT count(*) FROM n').fetchone()[0])");
        Assert.NotEqual(0, second.ExitCode);
        Assert.Contains("database is locked", second.Errors);
        Assert.Contains(holder.Id.ToString(), store.Shell("SELECT 1 FROM n").Errors);
        holder.StandardInput.Close();
        await holder.WaitForExitAsync();
        Assert.Equal(0, holder.ExitCode);
        Assert.Equal("10", Python(store.Uri, "print(db.execute('SELECT count(*) FROM n').fetchone()[0])").MustSucceed()
            .Output.Trim());
    }

    [Fact]
    public async Task A_reading_process_sees_what_a_writing_one_has_committed_and_disturbs_nothing()
    {
        using var store = new StoreDirectory();
        using var holder = Command.Start([], Repository.HostProgram("commits"), Repository.Extension, store.Uri, "10");
        while (await holder.StandardOutput.ReadLineAsync() is { } line && line != "10") { }
        var lines = Python(store.Uri + "&mode=ro", """
            print(db.execute('SELECT count(*) FROM n').fetchone()[0])
            print(db.execute('PRAGMA recovery_status').fetchone()[0])
            try: db.execute('INSERT INTO n(filler) VALUES (1)')
            except sqlite3.OperationalError as e: print(e)
            """).MustSucceed().Lines;
        Assert.Equal("10", lines[0]);
        Assert.Contains(lines, l => l.StartsWith($"writer: pid {holder.Id} ", StringComparison.Ordinal));
        Assert.Contains("readonly", lines[^1]);
        holder.StandardInput.Close();
        await holder.WaitForExitAsync();
        Assert.Equal(0, holder.ExitCode);
        Assert.Equal("10", Python(store.Uri + "&mode=ro", "print(db.execute('SELECT count(*) FROM n').fetchone()[0])")
            .MustSucceed().Output.Trim());
    }

    [Fact]
    public async Task Shell_python_and_node_read_what_another_process_is_writing()
    {
        using var store = new StoreDirectory();
        using var writer =
            Command.Start([], Repository.HostProgram("commits"), Repository.Extension, store.Uri, "1000000");
        var returned = 0L;
        while (returned < 10)
            returned = long.Parse(await writer.StandardOutput.ReadLineAsync()
                ?? throw new InvalidOperationException("The writer ended."));
        var lines = Task.Run(async () =>
        {
            while (await writer.StandardOutput.ReadLineAsync() is { } line)
                Interlocked.Exchange(ref returned, long.Parse(line));
        });
        const string Query = "SELECT count(*) || ' ' || max(x) FROM n";
        var node = $$"""
            const Database = require('better-sqlite3');
            new Database(':memory:').loadExtension('{{Repository.Extension}}').close();
            console.log(new Database('{{store.Path}}/app.db', { readonly: true }).prepare("{{Query}}").pluck().get());
            """;
        var environment = new Dictionary<string,
            string>
        {
            ["RECOVERY_VFS_DEFAULT"] = "1",
            ["NODE_PATH"] = Path.Combine(Path.GetDirectoryName(NodeExample.Script)!, "node_modules")
        };
        for (var round = 0; round < 3; round++)
            foreach (var read in (Func<Outcome>[])[
                () => Python(store.Uri + "&mode=ro", $"print(db.execute(\"{Query}\").fetchone()[0])"),
                () => Command.RunWith(environment, "node", "-e", node),
                () => store.Shell(Query, "&mode=ro")])
            {
                var before = Interlocked.Read(ref returned);
                var found = read().MustSucceed().Output.Trim().Split(' ');
                Assert.Equal(found[0], found[1]);
                Assert.InRange(long.Parse(found[0]), before, Interlocked.Read(ref returned) + 1);
            }
        Assert.False(writer.HasExited);
        writer.Kill();
        await lines;
        await writer.WaitForExitAsync();
        Assert.InRange(long.Parse(store.Shell("SELECT count(*) FROM n", "&mode=ro").MustSucceed().Output), returned,
            returned + 1);
        Assert.Equal("ok", store.Shell("PRAGMA integrity_check").MustSucceed().Output.Trim());
    }

    [Fact]
    public async Task A_reading_process_goes_on_beside_a_busy_writer_that_is_killed_and_comes_back()
    {
        using var store = new StoreDirectory();
        using var reader = Command.Start([], "/usr/bin/python3", "-u", "-c", $"""
            import sqlite3, sys
            loader = sqlite3.connect(':memory:')
            loader.enable_load_extension(True)
            loader.load_extension('{Repository.Extension}')
            db = None
            for line in sys.stdin:
                db = db or sqlite3.connect('{store.Uri}&mode=ro', uri=True)
                print(*db.execute("SELECT max(x), count(*) FROM n").fetchone(), db.execute("PRAGMA integrity_check").fetchone()[0])
            """);
        for (var round = 0; round < 3; round++)
        {
            using var writer =
                Command.Start([], Repository.HostProgram("commits"), Repository.Extension, store.Uri, "1000000");
            for (var look = 0; look < 10; look++)
            {
                var returned = "";
                for (var i = 0; i < 30; i++)
                    returned = await writer.StandardOutput.ReadLineAsync()
                        ?? throw new InvalidOperationException("The writer ended.");
                await Ask(returned);
            }
            writer.Kill();
            await writer.WaitForExitAsync();
            var last = "0";
            while (await writer.StandardOutput.ReadLineAsync() is { } line) last = line;
            await Ask(last);
        }

        async Task Ask(string returned)
        {
            await reader.StandardInput.WriteLineAsync("?");
            await reader.StandardInput.FlushAsync();
            var found = (await reader.StandardOutput.ReadLineAsync()
                ?? throw new InvalidOperationException(await reader.StandardError.ReadToEndAsync())).Split(' ');
            Assert.True(long.Parse(found[0]) >= long.Parse(returned),
                $"{returned} had returned, and {found[0]} was found");
            Assert.Equal(found[0], found[1]);
            Assert.Equal("ok", found[2]);
        }
    }

    static Outcome Python(string uri, string code) => Command.Run("/usr/bin/python3", "-c", $"""
        import sqlite3
        loader = sqlite3.connect(':memory:')
        loader.enable_load_extension(True)
        loader.load_extension('{Repository.Extension}')
        db = sqlite3.connect('{uri}', uri=True, timeout=0)
        {code}
        """);
}
