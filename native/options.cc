// The options of every store: the layout, which is measured, and what must hold for a page store without write-ahead
// log.
#include "options.h"

#include <sys/resource.h>

#include <utility>

#include "rocksdb/cache.h"
#include "rocksdb/filter_policy.h"
#include "rocksdb/table.h"

namespace recovery {

namespace {

// Descriptors: all files open is fastest. But under a small limit a large store must not use up what the process needs,
// so it keeps at most half of them, the most used ones.
int MaxOpenFiles() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= 65536) return -1;
  return static_cast<int>(limit.rlim_cur / 2);
}

}  // namespace

// Measured; the reasons are in docs/decisions/0005-page-layout.md.
rocksdb::Options MakeOptions(const rv_options& given, std::shared_ptr<LastWords> log) {
  rocksdb::Options options;
  const bool writes = given.mode == RV_READ_WRITE;
  options.create_if_missing = given.create != 0;

  // Pages live in blob files, and only their keys are compacted: a small leveled tree.
  options.enable_blob_files = true;
  options.min_blob_size = 256;
  options.blob_file_size = 64 << 20;
  options.blob_compression_type = given.blob_zstd != 0 ? rocksdb::kZSTD : rocksdb::kLZ4Compression;
  options.enable_blob_garbage_collection = false;  // collected by rv_compact, when it pays
  options.level_compaction_dynamic_level_bytes = true;
  options.max_bytes_for_level_base = 4 << 20;
  options.target_file_size_base = 1 << 20;
  options.compression = rocksdb::kNoCompression;
  options.bottommost_compression = rocksdb::kNoCompression;
  options.ttl = 0;
  options.periodic_compaction_seconds = 0;

  options.write_buffer_size = static_cast<size_t>(given.write_buffer_bytes);
  options.max_write_buffer_number = 2;
  options.memtable_prefix_bloom_size_ratio = 0.002;  // 64 bits a page: a read of one that is not there goes no further
  options.memtable_whole_key_filtering = true;
  options.max_background_jobs = 2;
  options.avoid_flush_during_shutdown = true;  // the recovery log has it; closing must be quick and change nothing

  options.max_open_files = writes ? MaxOpenFiles() : -1;  // what a reader has open, a writer beside it may delete
  options.max_manifest_file_size = 256 << 10;
  options.max_file_opening_threads = 2;  // sixteen, by default, cost more than what they do
  options.manifest_preallocation_size = 64 << 10;
  options.skip_stats_update_on_db_open = true;
  options.advise_random_on_open = false;  // pages are read in order too, and then the kernel may read ahead
  options.bytes_per_sync = 1 << 20;       // no burst of writeback in the way of the log's syncs
  options.paranoid_checks = true;
  options.write_dbid_to_manifest = true;

  options.info_log = std::move(log);  // no file: see LastWords
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;

  rocksdb::BlockBasedTableOptions table;
  table.block_size = 4 << 10;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.whole_key_filtering = true;
  table.checksum = rocksdb::kCRC32c;  // one that src/PageStore/Sealed verifies, too
  table.block_cache = rocksdb::NewLRUCache(static_cast<size_t>(given.block_cache_bytes));
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

}  // namespace recovery
