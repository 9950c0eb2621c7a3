using System.Buffers.Binary;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Blocks;
using RecoveryVfs.RecoveryLog.Remote.Files;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.Simulation;

namespace RecoveryVfs.RecoveryLog.Tests.Remote;

/// <summary>
/// Random lives of caches over the same few files: several readers, two caches at a time with budgets of their own, an
/// object store with faults, processes that end before any change of a file, losses of power. Whatever is read is what
/// was shipped, or an error.
/// </summary>
public sealed class BlockCacheModelTests
{
    const int Block = 1 << BlockList.UsualShift;

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Whatever_happens_what_is_read_is_what_was_shipped() => Seeds.Run(6, random =>
    {
        using var model = new Model(random);
        for (var life = random.Next(3, 8); life > 0; life--) model.Live();
        model.ReadAllInPeace();
    });

    /// <summary>Drawn from by several threads.</summary>
    sealed class SharedRandom(int seed) : Random(seed)
    {
        protected override double Sample() { lock (this) return base.Sample(); }
        public override int Next(int max) { lock (this) return base.Next(max); }
        public override int Next(int min, int max) { lock (this) return base.Next(min, max); }
        public override long NextInt64(long max) { lock (this) return base.NextInt64(max); }
        public override double NextDouble() { lock (this) return base.NextDouble(); }
    }

    sealed class Model : IDisposable
    {
        readonly string directory = Directory.CreateTempSubdirectory("recovery-blocks-").FullName;
        readonly SharedRandom random;
        readonly SimulatedObjectStore store;
        readonly RemoteContext context;
        readonly List<(byte[] Bytes, Extent Extent)> files = [];
        Guid boot = Guid.NewGuid();

        public Model(Random seed)
        {
            random = new SharedRandom(seed.Next());
            var bucket = new SimulatedBucket(TimeProvider.System);
            store = new SimulatedObjectStore(bucket, random);
            context = new RemoteContext
            {
                Store = store,
                Tries = 1000,
                Random = random,
                Backoff = new Backoff { First = TimeSpan.Zero, Longest = TimeSpan.Zero },
                OpenSpool = null,
            };
            for (ulong fnode = 1; fnode <= 3; fnode++)
            {
                var bytes = new byte[random.Next(1, 30 * Block)];
                random.NextBytes(bytes);
                var shipped = new Extents(context).UploadAsync([new SealedFile(fnode, bytes.Length,
                    Crc32C.Compute(bytes), () => new MemoryStream(bytes))], 1).AsTask().GetAwaiter().GetResult()[0];
                if (random.Next(4) == 0) shipped = shipped with { List = default };
                else if (random.Next(4) == 0) bucket.Delete(shipped.ListName);
                files.Add((bytes, shipped));
            }
        }

        string PathOf(Extent extent) => Path.Combine(directory, $"{extent.Fnode}.blob");

        string RecordOf(Extent extent) => Path.Combine(directory, $"{extent.Fnode}.record");

        /// <summary>One or two caches with readers; perhaps their processes end in the midst of it.</summary>
        public void Live()
        {
            store.Faults = SimulatedFaults.None with
            {
                Truncate = random.Next(2) * 0.2,
                Refuse = random.Next(2) * 0.2,
            };
            var caches = Enumerable.Range(0, random.Next(1, 3)).Select(_ => Begin()).ToList();
            try
            {
                var readers = caches.SelectMany(c => Enumerable.Range(0, 2).Select(_ => Task.Run(() => Read(c))));
                Task.WhenAll(readers).GetAwaiter().GetResult();
            }
            finally
            {
                foreach (var one in caches) one.Cache?.Dispose();
            }
            if (random.Next(3) == 0) LosePower();
        }

        /// <summary>A cache, and whether its process has ended.</summary>
        sealed class Process
        {
            public BlockCache? Cache;
            public List<BlockFile> Files = [];
            public int StepsLeft;
        }

        Process Begin()
        {
            var process = new Process { StepsLeft = random.Next(2) == 0 ? int.MaxValue : random.Next(1, 400) };
            process.Cache = new BlockCache(context, new BlockCacheOptions
            {
                BudgetBytes = random.Next(3) == 0 ? long.MaxValue : random.Next(1, 40) * (long)Block,
                Gets = random.Next(1, 4),
                BlocksPerGet = random.Next(1, 20),
                BootId = boot,
                BeforeChange = _ =>
                {
                    if (process.StepsLeft != int.MaxValue && Interlocked.Decrement(ref process.StepsLeft) < 0)
                        throw new SimulatedDeath();
                },
            });
            try
            {
                foreach (var (_, extent) in files)
                    process.Files.Add(process.Cache.Open(extent, PathOf(extent), RecordOf(extent)));
            }
            catch (SimulatedDeath) { process.Files.Clear(); }
            return process;
        }

        void Read(Process process)
        {
            try
            {
                for (var i = 0; i < 40 && process.Files.Count > 0; i++)
                {
                    var which = random.Next(files.Count);
                    var (bytes, file) = (files[which].Bytes, process.Files[which]);
                    var offset = random.Next(bytes.Length);
                    var length = random.Next(5) == 0 ? random.Next(5 * Block) : random.Next(5000);
                    if (random.Next(10) == 0)
                    {
                        file.FetchAsync(offset, length).AsTask().GetAwaiter().GetResult();
                        continue;
                    }
                    var buffer = new byte[length];
                    var got = random.Next(2) == 0
                        ? file.Read(offset, buffer)
                        : file.ReadAsync(offset, buffer).AsTask().GetAwaiter().GetResult();
                    Assert.Equal(Math.Min(length, bytes.Length - offset), got);
                    Assert.True(buffer.AsSpan(0, got).SequenceEqual(bytes.AsSpan(offset, got)),
                        $"{got} bytes at {offset} of file {which + 1} are others than were shipped");
                }
            }
            catch (SimulatedDeath) { }
        }

        /// <summary>Another start of the machine: any bytes since the last one may be zeros, states be torn.</summary>
        void LosePower()
        {
            boot = Guid.NewGuid();
            foreach (var (bytes, extent) in files)
            {
                if (!File.Exists(RecordOf(extent))) continue;
                if (File.Exists(PathOf(extent)))
                {
                    using var file = File.OpenWrite(PathOf(extent));
                    if (random.Next(10) == 0) file.SetLength(0);
                    for (var n = random.Next(5); n > 0; n--)
                    {
                        file.Position = random.Next(bytes.Length) / 4096 * 4096;
                        var left = file.Length - file.Position;
                        if (left > 0) file.Write(new byte[Math.Min(4096, left)]);
                    }
                }
                using var record = File.Open(RecordOf(extent), FileMode.Open);
                if (random.Next(10) == 0) record.SetLength(random.Next(2) * 128);
                if (random.Next(10) == 0) record.Write(new byte[128]);
                for (var n = random.Next(4); n > 0; n--)
                {
                    var state = new byte[4];
                    BinaryPrimitives.WriteInt32LittleEndian(state, random.Next());
                    record.Position = 128 + 4 * random.Next((bytes.Length + Block - 1) / Block);
                    if (record.Position < record.Length) record.Write(state);
                }
            }
        }

        public void ReadAllInPeace()
        {
            store.Faults = SimulatedFaults.None;
            using var cache = new BlockCache(context, new BlockCacheOptions { BootId = boot });
            foreach (var (bytes, extent) in files)
            {
                var file = cache.Open(extent, PathOf(extent), RecordOf(extent));
                file.FillAsync().AsTask().GetAwaiter().GetResult();
                Assert.True(file.Settle());
                Assert.True(bytes.AsSpan().SequenceEqual(File.ReadAllBytes(PathOf(extent))),
                    $"what file {extent.Fnode} became is not what was shipped");
            }
        }

        public void Dispose() => Directory.Delete(directory, recursive: true);
    }
}
