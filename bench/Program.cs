using RecoveryVfs;
using RecoveryVfs.Bench;

// RecoveryVfs against the stock VFS of the same SQLite on the same disk, each in turns within one run.
const string Usage = """
    usage: bench [--quick] [--only=NAME[,NAME]] [--dir=DIRECTORY] [--out=FILE] [--rounds=N] [--side=ours|stock]

      --quick   small sizes
      --only    only the cases that have these rows (follow: all about followers)
      --dir     where the databases are made (default: build/bench)
      --out     the results as JSON (default: dist/bench.json)
      --rounds  how often each side is measured; medians are printed
      --side    one side only, for profiling: its ratios mean nothing
    """;
if (args is ["--child", "follow", var followerDirectory, var followedUrl, var lastRow])
    return FollowSite.Read(followerDirectory, followedUrl, int.Parse(lastRow));
if (args is ["--child", "rows", var streamedUrl, var streamedAfter, var changes])
    return await RowStreamCase.ReadAsync(streamedUrl, ulong.Parse(streamedAfter), int.Parse(changes));
if (args is ["--child", "rows-lag", var laggingUrl, var linesWanted])
    return await RowLagCase.ReadAsync(laggingUrl, int.Parse(linesWanted));
if (args is ["--child", "wal-read", var readUri, var lastToRead])
    return WalSpillCase.Read(readUri, int.Parse(lastToRead));
if (args is ["--child", "replicate", var replicated, var replicaUrl])
    return ReplicatorProcess.Run(replicated, replicaUrl);
if (args is ["--child", .. var childArguments]) return KilledChild.Run(childArguments);
if (args is ["--remote-child", .. var remoteArguments]) return RemoteChild.Do(remoteArguments);
if (args.Contains("--help"))
{
    Console.WriteLine(Usage);
    return 0;
}
if (args.FirstOrDefault(a => a != "--quick"
    && a.Split('=')[0] is not ("--only" or "--dir" or "--out" or "--rounds" or "--side")) is { } unknown)
{
    Console.Error.WriteLine($"bench: what is '{unknown}'?\n{Usage}");
    return 2;
}

SQLitePCL.Batteries_V2.Init();
Recovery.Register();

string? Given(string name)
    => args.FirstOrDefault(a => a.StartsWith($"--{name}=", StringComparison.Ordinal))?[(name.Length + 3)..];
var quick = args.Contains("--quick");
var only = Given("only")?.Split(',');
var settings =
    new Settings(quick, Given("dir") ?? Path.Combine("build", "bench"), Given("rounds") is { } n ? int.Parse(n) : null,
    Given("side"));
var report = new Report(Given("out") ?? Path.Combine("dist", "bench.json"), quick);

Case[] cases =
[
    new SyncCase(),
    new CommitCase("commit-durable", "FULL", "FULL", 2.0),
    new CommitCase("commit-consistent", "OFF", "NORMAL", 1.0),
    new CommitsCase(1, oneDatabase: false, null),
    new CommitsCase(10, oneDatabase: false, null),
    new CommitsCase(16, oneDatabase: false, 2.0),
    new CommitsCase(64, oneDatabase: false, 2.0),
    new CommitsCase(100, oneDatabase: false, null),
    new CommitsCase(16, oneDatabase: true, 3.0),
    new CommitsCase(64, oneDatabase: true, 3.0),
    new LoadCase(),
    new ReadCase(),
    new ScanCase(),
    new ReadersAndWriterCase(),
    new UpdateCase(),
    new SizeCase(),
    new RowsCase(),
    new RowStreamCase(),
    new RowLagCase(),
    new RowBackupCase(),
    new OpenCase(),
    new RollbackCase(),
    new FollowLagCase("remote-s3", s3: true, "durability=remote&sync-interval=5", 30, 150),
    new FollowLagCase("remote-file", s3: false, "durability=remote&sync-interval=5", 30, 150),
    new FollowLagCase("async-s3", s3: true, "sync-interval=1000", 0, 1200),
    new FollowSpeedCase(s3: true),
    new FollowIdleCase(),
    new WalSpillCase(),
    new SpeedTestCase("rollback"),
    new SpeedTestCase("wal"),
    new KeyValueCase("rollback"),
    new KeyValueCase("wal"),
    new ReplicateCase(),
    new ReplicateRemoteCase(),
    new RocksDbCase(),
    new RemoteCommitCase(),
    new RemoteBytesCase(),
    new RemoteAmplificationCase(),
    new RemoteRequestsCase(),
    new RemoteDurableCase(),
    new RemoteRestoreCase(),
    new RestoreFileCase(),
    new LazyOpenCase(),
    new GrowthCase(),
];
// `--only=remote` means all rows whose names begin so.
bool IsMeant(Case each) => only is null
    || each.Names.Any(n => only.Any(o => n == o || n.StartsWith(o + "-", StringComparison.Ordinal)));
if (only?.FirstOrDefault(o
    => !cases.Any(c => c.Names.Any(n => n == o || n.StartsWith(o + "-", StringComparison.Ordinal)))) is { } stranger)
{
    Console.Error.WriteLine(
        $"bench: no row is called '{stranger}'. There are: {string.Join(", ", cases.SelectMany(c => c.Names))}");
    return 2;
}
try
{
    foreach (var each in cases)
    {
        if (!IsMeant(each)) continue;
        if (each is ProgramCase && ProgramCase.Missing is { } missing)
        {
            Console.Error.WriteLine($"{each.Names[0]}: left out, {missing} is missing; ./build.sh bench makes it.");
            continue;
        }
        Console.Error.WriteLine($"{each.Names[0]} ...");
        using var place = settings.NewPlace(each.Names[0]);
        each.Run(place, report);
    }
}
finally
{
    RemoteServer.Stop();
}
report.Finish(complete: only is null);
return 0;
