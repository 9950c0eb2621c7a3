using System.Net.Sockets;
using RecoveryVfs.Interop;
using RecoveryVfs.Opening;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.Statements;

/// <summary>
/// Listens in the directory of a store that this process has open, and runs the statements of other processes of its
/// user (<c>recovery sql --write</c>): so nobody has to stop the application to mend a row.
/// </summary>
/// <remarks>
/// Nothing runs while nobody connects: the listening socket waits in the epoll of .NET's sockets (one thread a process,
/// which a store with an S3 remote has anyway). A session has a thread of its own for as long as it lasts. The store's
/// LOCK, which this process holds, is what makes the name its to take.
/// </remarks>
internal sealed class SqlServer : IDisposable
{
    /// <summary>At a time: they are people, and each takes a thread.</summary>
    const int SessionsMax = 4;

    readonly OpenStore store;
    readonly string path;
    readonly CancellationTokenSource closing = new();
    readonly Task serving;
    int sessions;

    SqlServer(OpenStore store)
    {
        this.store = store;
        path = new StoreHome(store.Directory).SqlSocket;
        // Who opens a store does not wait for it.
        serving = Task.Run(ServeAsync);
    }

    /// <summary>Serves a store that was just opened, unless it is not to be.</summary>
    public static SqlServer? Start(OpenStore store) => store.Options.SqlSocket && HostConnection.IsHostThreadSafe()
        ? new SqlServer(store)
        : null;

    async Task ServeAsync()
    {
        if (closing.IsCancellationRequested) return;
        Socket? listener = null;
        FileNode? node = null;
        try
        {
            listener = UnixSocket.Listen(path, SessionsMax);
            node = FileNode.At(path);
            while (true) Admit(await listener.AcceptAsync(closing.Token));
        }
        catch (OperationCanceledException)
        {
            // The store closes.
        }
        catch (Exception e)
        {
            // Nothing that the application asked for has failed.
            EventLog.Write(EventLevel.Warning, "SQL-SOCKET",
                $"The store {store.Directory} takes no statements from other processes: {e.Message}");
        }
        finally
        {
            // A child that was forked meanwhile has it, too: nobody shall wait there for an answer.
            if (listener is not null) TryShutdown(listener);
            listener?.Dispose();
            if (node is { } ours && FileNode.At(path) is { } there && there.IsSame(ours)) File.Delete(path);
        }
    }

    static void TryShutdown(Socket listener)
    {
        try
        {
            listener.Shutdown(SocketShutdown.Both);
        }
        catch (SocketException)
        {
            // Closing it is all that is left.
        }
    }

    void Admit(Socket connection)
    {
        var channel = new SqlChannel(connection);
        try
        {
            // The rights of the socket keep others away already; root may do what it likes.
            var (process, user) = UnixSocket.PeerOf(connection);
            if (user != 0 && user != UnixSocket.User)
            {
                EventLog.Write(EventLevel.Warning, "SQL-SOCKET",
                    $"A process ({process}) of user {user} asked to run statements in {store.Directory}, and was "
                        + "refused.");
                channel.Dispose();
                return;
            }
            if (Interlocked.Increment(ref sessions) > SessionsMax)
            {
                Interlocked.Decrement(ref sessions);
                channel.Begin(SqlFrame.Error).Put((uint)Sqlite.Busy)
                    .Put($"{SessionsMax} others are running statements here already. Try again later.")
                    .End(atOnce: true);
                channel.Dispose();
                return;
            }
            new Thread(() => Serve(channel, process)) { IsBackground = true, Name = "recovery sql" }.Start();
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It went as it came.
            channel.Dispose();
        }
    }

    void Serve(SqlChannel channel, int process)
    {
        try
        {
            using (channel) new SqlSession(channel, store, process).Run();
        }
        catch (Exception e)
        {
            // Nothing of it may reach the application; who is at the other end sees the connection end.
            if (e is not (SocketException or TimeoutException or ObjectDisposedException))
                EventLog.Write(EventLevel.Warning, "SQL-SOCKET", $"Statements of process {process}: {e.Message}");
        }
        finally
        {
            Interlocked.Decrement(ref sessions);
        }
    }

    /// <summary>Listens no longer. Sessions go on to their end: they have connections of their own.</summary>
    public void Dispose()
    {
        closing.Cancel();
        serving.Wait();
        closing.Dispose();
    }
}
