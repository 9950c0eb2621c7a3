using RecoveryVfs.Interop;
using RecoveryVfs.Opening;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.Settings;

namespace RecoveryVfs.Statements;

/// <summary>
/// One who sends statements, and the connection to SQLite that they run on: on the session's own thread. A transaction
/// may go over several requests; it is rolled back when it lasts longer than the limit, and when the other end is gone.
/// </summary>
internal sealed class SqlSession(SqlChannel channel, OpenStore store, int process) : ISqlResults
{
    static readonly TimeSpan GreetingPatience = TimeSpan.FromSeconds(5), IdlePatience = TimeSpan.FromMinutes(10);

    /// <summary>How long one request, or a transaction, may take when the client says nothing, and at most.</summary>
    internal const int UsualSeconds = 30, SecondsMax = 3600;

    /// <summary>What one request may give: it goes through the memory of the application.</summary>
    internal const long ResultBytesMax = 64 << 20;

    const int BusyPatienceMs = 5000, RequestBytesMax = 16 << 20, GreetingBytesMax = 4096;

    long deadline, resultsFrom;
    int seconds = UsualSeconds;
    string path = "";
    string? why;

    public void Run()
    {
        if (channel.Read(GreetingPatience, GreetingBytesMax) is not { Kind: SqlFrame.Hello } hello) return;
        if (hello.U32() is var version && version != SqlChannel.Version)
        {
            Refuse(Sqlite.Error,
                $"This process speaks version {SqlChannel.Version}, and was asked in version {version}. Use the same "
                    + "version of RecoveryVfs.");
            return;
        }
        if (hello.U32() is > 0 and var wanted) seconds = (int)Math.Min(wanted, SecondsMax);
        channel.Socket.SendTimeout = seconds * 1000;
        try
        {
            using var connection = Open(hello.Text(), out path);
            channel.Begin(SqlFrame.Hello).Put(SqlChannel.Version)
                .Put($"pid {Environment.ProcessId} ({File.ReadAllText("/proc/self/comm").Trim()}), SQLite "
                    + $"{VfsEntryPoints.Api.VersionText}").End();
            Serve(connection);
        }
        catch (Exception e) when (e is RecoveryException or SqlFailure)
        {
            Refuse((e as SqlFailure)?.Code ?? Sqlite.CantOpen, e.Message);
        }
    }

    void Refuse(int code, string message)
        => channel.Begin(SqlFrame.Error).Put((uint)code).Put(message).End(atOnce: true);

    /// <summary>
    /// The database is asked for by its name in the store: the other end may see the directory under another path, as
    /// from outside of a container.
    /// </summary>
    HostConnection Open(string name, out string path)
    {
        DatabaseName.Check(name);
        path = OpenDatabases.PathOf(store, name) ?? Path.Combine(Path.GetDirectoryName(store.Directory)!, name);
        if (Stub.Read(path) is not { Content: PathContent.Stub } stub || stub.Store != store.Directory
            || stub.Database != name)
            throw new RecoveryException(RecoveryError.NotFound,
                $"The store {store.Directory} has no database {name} whose file lies at {path}.");
        EventLog.Write(EventLevel.Info, "SQL-SOCKET", $"Process {process} runs statements on {path}.");
        using var ours = StoreSettings.TakeOwnUris();
        return HostConnection.Open($"{DatabasePath.UriOf(path)}?store={Uri.EscapeDataString(store.Directory)}",
            write: true, BusyPatienceMs);
    }

    void Serve(HostConnection connection)
    {
        connection.MustStop = MustStop;
        while (true)
        {
            channel.Begin(SqlFrame.Ready).Put(connection.IsInTransaction ? (byte)1 : (byte)0).End(atOnce: true);
            if (Next(connection) is not { } request) return;
            if (!connection.IsInTransaction) deadline = Environment.TickCount64 + seconds * 1000L;
            resultsFrom = channel.SentBytes;
            why = null;
            try
            {
                if (request.Kind == SqlFrame.Replace) Replace(connection, request.Text());
                else connection.Run(request.Text(), this);
            }
            catch (SqlFailure e)
            {
                Refuse(e.Code, why ?? e.Message);
            }
            catch (RecoveryException e) when (request.Kind == SqlFrame.Replace)
            {
                Refuse(e.Error == RecoveryError.Busy ? Sqlite.Busy : Sqlite.Error, e.Message);
            }
        }
    }

    /// <summary>
    /// The file is in the store's directory, whatever path leads there from outside, and has no name but one that a
    /// roll back gives: nobody can have another one read.
    /// </summary>
    void Replace(HostConnection connection, string text)
    {
        var lines = text.Split('\n');
        var files = lines.Where((_, i) => i % 2 == 0).ToList();
        if (connection.IsInTransaction || !files.TrueForAll(StoreHome.IsRollbackFile)
            || (lines.Length > 1 && lines.Length % 2 != 0))
            throw new SqlFailure(Sqlite.Error, $"{text} is no file that a database is taken back to.");
        var all = new List<ToReplace> { new(connection, path, Path.Combine(store.Directory, files[0])) };
        try
        {
            for (var i = 1; i < files.Count; i++)
                all.Add(new(Open(lines[(2 * i) + 1], out var other), other,
                    Path.Combine(store.Directory, files[i])));
            EventLog.Write(EventLevel.Info, "ROLLBACK",
                $"Process {process} takes {string.Join(", ", all.Select(d => d.Path))} back to an earlier state.");
            Replacement.Give(Replacement.Run(all, store.Directory, TimeSpan.FromSeconds(seconds)), this);
        }
        finally
        {
            foreach (var other in all.Skip(1)) other.Connection.Dispose();
        }
    }

    /// <summary>The next request; null when there will be none.</summary>
    SqlBody? Next(HostConnection connection)
    {
        var left = TimeSpan.FromMilliseconds(Math.Max(0, deadline - Environment.TickCount64));
        try
        {
            return channel.Read(connection.IsInTransaction ? left : IdlePatience, RequestBytesMax)
                is { Kind: SqlFrame.Statements or SqlFrame.Replace } request ? request : null;
        }
        catch (TimeoutException)
        {
            Refuse(Sqlite.Interrupt, connection.IsInTransaction
                ? $"The transaction was open for {seconds} s, the limit, and was rolled back: it held writers of the "
                    + "application up. --timeout says how long it may be."
                : "The session was idle, and has ended. Nothing was open.");
            return null;
        }
    }

    /// <summary>Asked while a statement runs.</summary>
    bool MustStop()
    {
        why ??= Environment.TickCount64 > deadline
            ? $"Stopped after {seconds} s, the limit; this statement has changed nothing. --timeout says how long it "
                + "may take."
            : channel.IsClosed ? "The other end has gone."
            : null;
        return why is not null;
    }

    public void Columns(string[] names)
    {
        channel.Begin(SqlFrame.Columns).Put((uint)names.Length);
        foreach (var name in names) channel.Put(name);
        channel.End();
    }

    public void Row(SqlValue[] values)
    {
        if (channel.SentBytes - resultsFrom > ResultBytesMax)
            throw new SqlFailure(Sqlite.TooBig,
                $"Stopped: the result has more than {ResultBytesMax >> 20} MiB. Ask for less (LIMIT), or read "
                    + "without --write, beside the application.");
        channel.Begin(SqlFrame.Row);
        foreach (var value in values)
        {
            channel.Put((byte)value.Kind);
            if (value.Kind is SqlKind.Integer or SqlKind.Real) channel.Put(value.Number);
            else if (value.Kind is not SqlKind.Null) channel.Put(value.Bytes);
        }
        channel.End();
    }

    public void Done(bool hasRows, long changes)
        => channel.Begin(SqlFrame.Done).Put(hasRows ? (byte)1 : (byte)0).Put(changes).End();
}
