using System.Net.Sockets;
using RecoveryVfs.Handles;
using RecoveryVfs.Interop;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.Statements;

/// <summary>Sends statements to the process that has a store open.</summary>
internal sealed class SqlClient : IDisposable
{
    static readonly TimeSpan GreetingPatience = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Beyond the limit that the other end holds itself to: a COMMIT may wait for the disk, or the remote.
    /// </summary>
    static readonly TimeSpan More = TimeSpan.FromSeconds(15);

    readonly SqlChannel channel;
    readonly TimeSpan patience;

    SqlClient(SqlChannel channel, TimeSpan patience) => (this.channel, this.patience) = (channel, patience);

    /// <summary>Who runs them.</summary>
    public string Server { get; private set; } = "";

    public bool IsInTransaction { get; private set; }

    /// <summary>
    /// Connects; null when nobody listens. <paramref name="limit"/>: how long a request or a transaction may take.
    /// </summary>
    public static SqlClient? TryConnect(string storeDirectory, string database, TimeSpan limit)
    {
        var path = new StoreHome(storeDirectory).SqlSocket;
        if (UnixSocket.TryConnect(path) is not { } socket) return null;
        var client = new SqlClient(new SqlChannel(socket), limit + More);
        try
        {
            var (process, user) = UnixSocket.PeerOf(socket);
            if (user != 0 && FileNode.At(storeDirectory, follow: true) is { } node && node.Owner != user)
                throw new RecoveryException(RecoveryError.CannotOpen,
                    $"Who listens at {path} (process {process}) is user {user}, and the store is user "
                        + $"{node.Owner}'s: nothing was sent there.");
            client.channel.Begin(SqlFrame.Hello).Put(SqlChannel.Version).Put((uint)Math.Ceiling(limit.TotalSeconds))
                .Put(database).End(atOnce: true);
            client.Server = client.Greeting(path, process);
            client.UntilReady(null, GreetingPatience);
            return client;
        }
        catch
        {
            client.Dispose();
            throw;
        }
    }

    string Greeting(string path, int process)
    {
        try
        {
            switch (channel.Read(GreetingPatience))
            {
                case { Kind: SqlFrame.Hello } hello:
                    hello.U32();
                    return hello.Text();
                case { Kind: SqlFrame.Error } error:
                    throw Failed(error);
                default:
                    throw new RecoveryException(RecoveryError.CannotOpen,
                        $"Process {process} has closed the connection to {path}. Its RECOVERY_LOG says why.");
            }
        }
        catch (TimeoutException e)
        {
            throw new RecoveryException(RecoveryError.Busy, $"Process {process}, which has {path}, does not answer.",
                e);
        }
    }

    /// <summary>
    /// Runs statements there; throws <see cref="SqlFailure"/> with what SQLite says of the first that fails.
    /// </summary>
    public void Run(string sql, ISqlResults results) => Ask(SqlFrame.Statements, sql, results);

    /// <summary>
    /// Has databases become what files in the store's directory hold; the first is the one that this is connected to.
    /// </summary>
    public Replaced[] Replace(IReadOnlyList<(string Database, string File)> databases)
    {
        var answers = new SqlAnswers();
        var text = databases.Count == 1 ? databases[0].File
            : string.Join('\n', databases.Select(d => $"{d.File}\n{d.Database}"));
        Ask(SqlFrame.Replace, text, answers);
        return Replacement.Of(answers, databases.Count);
    }

    void Ask(SqlFrame kind, string text, ISqlResults results)
    {
        TrySend(kind, text);
        try
        {
            UntilReady(results, patience);
        }
        catch (SocketException e)
        {
            throw new RecoveryException(RecoveryError.Busy,
                $"{Server} has gone while it ran these statements. What it was asked to commit may be committed.", e);
        }
        catch (TimeoutException e)
        {
            throw new RecoveryException(RecoveryError.Busy,
                $"{Server} did not answer in {patience.TotalSeconds:0} s. What it was asked to commit may still be "
                    + "committed.", e);
        }
    }

    void TrySend(SqlFrame kind, string text)
    {
        try
        {
            channel.Begin(kind).Put(text).End(atOnce: true);
        }
        catch (SocketException)
        {
            // What the other end said before it went is still to be read.
        }
    }

    void UntilReady(ISqlResults? results, TimeSpan wait)
    {
        SqlFailure? failure = null;
        var columns = 0u;
        while (true)
        {
            var frame = channel.Read(wait) ?? throw failure
                ?? (Exception)new RecoveryException(RecoveryError.Busy,
                $"{Server} has ended the session; what was not committed was rolled back.");
            switch (frame.Kind)
            {
                case SqlFrame.Columns:
                    columns = frame.U32();
                    var names = new List<string>();
                    for (var i = 0; i < columns; i++) names.Add(frame.Text());
                    results?.Columns([.. names]);
                    break;
                case SqlFrame.Row:
                    var values = new SqlValue[columns];
                    for (var i = 0; i < columns; i++) values[i] = Value(frame);
                    results?.Row(values);
                    break;
                case SqlFrame.Done:
                    results?.Done(frame.U8() != 0, frame.I64());
                    break;
                case SqlFrame.Error:
                    failure = Failed(frame);
                    break;
                case SqlFrame.Ready:
                    IsInTransaction = frame.U8() != 0;
                    if (failure is not null) throw failure;
                    return;
            }
        }
    }

    static SqlValue Value(SqlBody frame) => (SqlKind)frame.U8() switch
    {
        SqlKind.Null => new(SqlKind.Null, 0, []),
        var kind and (SqlKind.Integer or SqlKind.Real) => new(kind, frame.I64(), []),
        var kind => new(kind, 0, frame.Bytes()),
    };

    static SqlFailure Failed(SqlBody error) => new((int)error.U32(), error.Text());

    public void Dispose() => channel.Dispose();
}
