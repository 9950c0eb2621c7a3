// What a store tells of itself.
#include "calls.h"
#include "store.h"

using recovery::Finish;
using recovery::Guard;
using recovery::GuardOr;
using recovery::Property;
using rocksdb::DB;
using rocksdb::Status;

namespace recovery {

uint64_t Property(rv_store* store, const std::string& name) {
  uint64_t value = 0;
  return store->db->GetIntProperty(name, &value) ? value : 0;
}

}  // namespace recovery

extern "C" {

int64_t rv_unflushed_bytes(rv_store* store) {
  return GuardOr<int64_t>(0, [&]() -> int64_t {
    using Properties = DB::Properties;
    // An empty memtable has some bytes too, which are nobody's.
    if (Property(store, Properties::kNumEntriesActiveMemTable) + Property(store, Properties::kNumEntriesImmMemTables) ==
        0)
      return 0;
    return static_cast<int64_t>(Property(store, Properties::kCurSizeAllMemTables));
  });
}

int32_t rv_stat(rv_store* store, rv_statistics* result, char** error) {
  return Guard(error, [&] {
    *result = rv_statistics{};
    rocksdb::ColumnFamilyMetaData meta;
    store->db->GetColumnFamilyMetaData(&meta);
    result->blob_files = static_cast<int64_t>(meta.blob_files.size());
    for (const auto& blob : meta.blob_files) {
      result->blob_file_bytes += static_cast<int64_t>(blob.blob_file_size);
      result->blob_bytes += static_cast<int64_t>(blob.total_blob_bytes);
      result->blob_garbage_bytes += static_cast<int64_t>(blob.garbage_blob_bytes);
      result->blob_count += static_cast<int64_t>(blob.total_blob_count);
      result->blob_garbage_count += static_cast<int64_t>(blob.garbage_blob_count);
    }
    result->table_files = static_cast<int64_t>(meta.file_count);
    result->table_bytes = static_cast<int64_t>(meta.size);
    if (!meta.levels.empty()) result->level0_files = static_cast<int64_t>(meta.levels[0].files.size());
    rocksdb::TablePropertiesCollection tables;
    Status status = store->db->GetPropertiesOfAllTables(&tables);
    for (const auto& table : tables) result->range_deletions += static_cast<int64_t>(table.second->num_range_deletions);
    auto property = [&](const std::string& name) { return static_cast<int64_t>(Property(store, name)); };
    using Properties = DB::Properties;
    result->unflushed_bytes = rv_unflushed_bytes(store);
    result->pending_compaction_bytes = property(Properties::kEstimatePendingCompactionBytes);
    result->snapshots = property(Properties::kNumSnapshots);
    result->flushes = static_cast<int64_t>(store->listener->flushes());
    result->block_cache_bytes = property(Properties::kBlockCacheUsage);
    result->background_errors = property(Properties::kBackgroundErrors);
    result->write_stopped = property(Properties::kIsWriteStopped);
    return Finish(status, error);
  });
}

}  // extern "C"
