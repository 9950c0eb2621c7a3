// A RocksDB that is recorded: what was synced is in the bucket, and comes back on another machine with
// `recovery restore URL DIR`, as a directory that any RocksDB opens.
//
//   dotnet run -- DIR s3://bucket/prefix KEY=VALUE ..
using RecoveryVfs.RocksDb;
using RocksDbSharp;

if (args.Length < 2)
{
    Console.Error.WriteLine("usage: rocksdb DIR URL [KEY=VALUE ..]");
    return 2;
}
RecordedRocksDb.Prepare();
var options = new DbOptions().SetCreateIfMissing();
await using var kv = RecordedRocksDb.Open(options, args[0], new RecordedRocksDbOptions { Remote = args[1] });
foreach (var pair in args.Skip(2).Select(a => a.Split('=', 2))) kv.Db.Put(pair[0], pair[1]);
await kv.SyncAsync();

using var iterator = kv.Db.NewIterator();
for (iterator.SeekToFirst(); iterator.Valid(); iterator.Next())
    Console.WriteLine($"{iterator.StringKey()}={iterator.StringValue()}");
return 0;
