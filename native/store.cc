// The flat interface over RocksDB: one store, its pages, its options.
#include <atomic>
#include <chrono>
#include <cstring>
#include <future>
#include <mutex>
#include <string>
#include <thread>

#include "at_exit.h"
#include "calls.h"
#include "listener.h"
#include "options.h"
#include "recorded_files.h"
#include "rocksdb/convenience.h"
#include "rocksdb/db.h"
#include "rocksdb/env.h"
#include "scan_reads.h"

using recovery::Fail;
using recovery::Finish;
using recovery::Guard;
using recovery::GuardOr;
using rocksdb::DB;
using rocksdb::Slice;
using rocksdb::Status;

namespace {

// [database u32 BE][page u32 BE]. An end has one byte more, which makes it the first key after.
class Key {
 public:
  Key(uint32_t database, uint32_t page, size_t size = 8) : size_(size) {
    for (int i = 0; i < 4; i++) {
      bytes_[i] = static_cast<char>(database >> (24 - 8 * i));
      bytes_[4 + i] = static_cast<char>(page >> (24 - 8 * i));
    }
    bytes_[8] = 0;
  }
  static Key After(uint32_t database, uint32_t page) { return Key(database, page, 9); }
  Slice slice() const { return Slice(bytes_, size_); }

 private:
  char bytes_[9];
  size_t size_;
};

// The applied LSN, u64 LE, lies before all pages: no database has the number 0. It is written with every batch, as page
// 0 of some database is, so its place makes no file's key range wider than it would be.
const Key kApplied(0, 0);

uint32_t PageOf(const Slice& key) {
  uint32_t page = 0;
  for (int i = 4; i < 8; i++) page = page << 8 | static_cast<uint8_t>(key[i]);
  return page;
}

const rocksdb::Snapshot* AsSnapshot(rv_snapshot* snapshot) {
  return reinterpret_cast<const rocksdb::Snapshot*>(snapshot);
}

}  // namespace

struct rv_store {
  // In the order in which they must go: the database first.
  std::shared_ptr<recovery::RecordedFileSystem> files;
  std::unique_ptr<rocksdb::Env> env;
  std::shared_ptr<recovery::Listener> listener = std::make_shared<recovery::Listener>();
  std::shared_ptr<recovery::LastWords> log = std::make_shared<recovery::LastWords>();
  std::unique_ptr<DB> db;

  std::mutex settings_mutex;
  bool setting_failed = false;  // and file deletions are off: see SetBlobCompression

  std::mutex resume_mutex;
  std::future<Status> resuming;  // a Resume under way, perhaps for ever

  std::mutex persisted_mutex;
  uint64_t persisted_at = UINT64_MAX;  // the flush count at which `persisted` was read
  uint64_t persisted = 0;
};

struct rv_batch {
  rocksdb::WriteBatch writes;
};

namespace {

Status ReadApplied(rv_store* store, const rocksdb::ReadOptions& options, uint64_t* applied) {
  rocksdb::PinnableSlice value;
  Status status = store->db->Get(options, store->db->DefaultColumnFamily(), kApplied.slice(), &value);
  *applied = 0;
  if (status.IsNotFound()) return Status::OK();
  if (!status.ok()) return status;
  if (value.size() != sizeof(*applied)) return Status::Corruption("The applied LSN is not 8 bytes long");
  memcpy(applied, value.data(), sizeof(*applied));
  return status;
}

// Names its one column family, because without that OpenForReadOnly looks whether all is in one table, and then opens a
// "compacted" database, which in 7.8 finds no key whose value is in a blob file.
Status OpenForReading(const rocksdb::Options& options, const std::string& directory, DB** db) {
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  Status status = DB::OpenForReadOnly(
      options, directory, {rocksdb::ColumnFamilyDescriptor(rocksdb::kDefaultColumnFamilyName, options)}, &handles, db);
  for (rocksdb::ColumnFamilyHandle* handle : handles) delete handle;
  return status;
}

// RocksDB opens blob files when they are first read. A missing or cut one should be found now; and a reader beside a
// writer has to open them now, for later they may be gone (it opens all table files at once, see MakeOptions).
Status CheckBlobFiles(rv_store* store, bool pin) {
  rocksdb::ColumnFamilyMetaData meta;
  store->db->GetColumnFamilyMetaData(&meta);
  for (const auto& blob : meta.blob_files) {
    const std::string path = store->db->GetName() + "/" + recovery::NameOf(blob.blob_file_name);
    uint64_t size = 0;
    Status status = pin ? store->files->Pin(path, &size) : store->db->GetEnv()->GetFileSize(path, &size);
    if (!status.ok()) return status;
    if (size != blob.blob_file_size) return Status::Corruption("The size of a blob file is wrong", path);
  }
  return Status::OK();
}

uint64_t Property(rv_store* store, const std::string& name) {
  uint64_t value = 0;
  return store->db->GetIntProperty(name, &value) ? value : 0;
}

// After the disk was full, RocksDB refuses writes until somebody calls Resume, which flushes. That is done here, by the
// next call that writes, with care: if a flush fails while RocksDB 7.8's Resume waits for background work, Resume
// leaves a flush request behind that nobody ever schedules, and the next Resume waits for it forever.
// (DBImpl::ResumeImpl calls WaitForBackgroundWork, then FlushMemTable, whose wait ends at once because of the earlier
// failure.) So nothing may be running when it is called, and no flush may be asked for before it has succeeded.
// RocksDB's threads sleep for a second after a failure, and count as running then.
constexpr std::chrono::seconds kResumePatience(10);

Status Resumed(rv_store* store) {
  if (!store->listener->full()) return Status::OK();
  std::lock_guard<std::mutex> lock(store->resume_mutex);
  if (!store->listener->full()) return Status::OK();
  for (int tries = 0; Property(store, DB::Properties::kNumRunningFlushes) != 0 ||
                      Property(store, DB::Properties::kNumRunningCompactions) != 0;
       tries++) {
    if (tries == 500) return Status::NoSpace("The disk was full, and what failed for it is still ending");
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const bool again = store->resuming.valid();
  if (!again) store->resuming = std::async(std::launch::async, [db = store->db.get()] { return db->Resume(); });
  // Even so it has been seen to wait for ever for a flush that nobody schedules. Closing the database ends it.
  if (store->resuming.wait_for(again ? std::chrono::seconds(0) : kResumePatience) != std::future_status::ready)
    return Status::IOError(
        "RocksDB does not go on after the disk was full. Close the store and open it again; nothing is lost");
  Status status = store->resuming.get();
  if (status.ok()) store->listener->Resumed();
  return status;
}

// A change of the options writes to the MANIFEST. If that fails, RocksDB 7.8 does not tell its error handler, which
// would turn file deletions off until a MANIFEST could be written again: files that the one on disk names would be
// deleted, and Resume asserts that they are off. So this does it in its place.
Status SetBlobCompression(rv_store* store, const char* type) {
  std::lock_guard<std::mutex> lock(store->settings_mutex);
  if (!store->setting_failed) {
    Status status = store->db->DisableFileDeletions();
    if (!status.ok()) return status;
  }
  Status status = store->db->SetOptions({{"blob_compression_type", type}});
  store->setting_failed = !status.ok();
  if (status.ok()) status = store->db->EnableFileDeletions(false);
  return status;
}

constexpr const char* kFreshPages = "kLZ4Compression";
constexpr const char* kOldPages = "kZSTD";

// What failed is done again, by the next call that flushes.
Status Settled(rv_store* store) {
  {
    std::lock_guard<std::mutex> lock(store->settings_mutex);
    if (!store->setting_failed) return Status::OK();
  }
  return SetBlobCompression(store, kFreshPages);
}

// Once Resume was called, RocksDB 7.8's Flush does not wait for the flush any more (is_db_stopped_ of its error handler
// is never reset): so this waits.
Status FlushAndWait(rv_store* store) {
  const uint64_t errors = store->listener->errors();
  rocksdb::FlushOptions options;
  options.allow_write_stall = true;  // writers wait for this flush anyway
  Status status = store->db->Flush(options);
  while (status.ok() && Property(store, DB::Properties::kNumImmutableMemTable) != 0)
    status = store->listener->Wait(errors);
  return status;
}

}  // namespace

extern "C" {

int32_t rv_interface(void) { return RV_INTERFACE; }

void rv_free(char* message) { free(message); }

int32_t rv_open(const rv_options* given, rv_store** result, char** error) {
  return Guard(error, [&]() -> int32_t {
    if (rocksdb::GetRocksVersionAsString(false) != "7.8")
      return Fail(RV_INVALID, "The RocksDB library is " + rocksdb::GetRocksVersionAsString() + ", not 7.8", error);
    auto store = std::make_unique<rv_store>();
    rocksdb::Options options = recovery::MakeOptions(*given, store->log);
    options.listeners.push_back(store->listener);
    const bool writes = given->mode == RV_READ_WRITE;
    store->files = given->files != nullptr ? given->files->system
                                           : std::make_shared<recovery::RecordedFileSystem>(nullptr, nullptr, false);
    store->env = rocksdb::NewCompositeEnv(store->files);
    options.env = store->env.get();
    DB* db = nullptr;
    Status status = writes ? DB::Open(options, given->directory, &db) : OpenForReading(options, given->directory, &db);
    store->db.reset(db);
    if (status.ok()) status = CheckBlobFiles(store.get(), !writes);
    if (!status.ok()) return Finish(status, *store->log, error);
    recovery::StopAtExit(store->db.get());
    *result = store.release();
    return RV_OK;
  });
}

void rv_close(rv_store* store) {
  GuardOr(0, [&] {
    recovery::Forget(store->db.get());
    if (store->resuming.valid()) {
      rocksdb::CancelAllBackgroundWork(store->db.get(), false);
      store->resuming.wait();
    }
    delete store;
    return 0;
  });
}

int32_t rv_get(rv_store* store, rv_snapshot* snapshot, uint32_t database, uint32_t page, uint8_t* buffer,
               int32_t capacity, int32_t* length, char** error) {
  return Guard(error, [&] {
    rocksdb::ReadOptions options;
    options.snapshot = AsSnapshot(snapshot);
    rocksdb::PinnableSlice value;
    Status status = store->db->Get(options, store->db->DefaultColumnFamily(), Key(database, page).slice(), &value);
    *length = -1;
    if (status.IsNotFound()) return static_cast<int32_t>(RV_OK);
    if (!status.ok()) return Finish(status, error);
    *length = static_cast<int32_t>(value.size());
    memcpy(buffer, value.data(), std::min(value.size(), static_cast<size_t>(capacity)));
    return static_cast<int32_t>(RV_OK);
  });
}

int32_t rv_scan(rv_store* store, rv_snapshot* snapshot, uint32_t database, uint32_t first, uint32_t last,
                rv_page_callback callback, void* context, char** error) {
  return Guard(error, [&] {
    const Key end = Key::After(database, last);
    const Slice end_slice = end.slice();
    rocksdb::ReadOptions options;
    options.snapshot = AsSnapshot(snapshot);
    options.iterate_upper_bound = &end_slice;
    recovery::ScanReads reads(uint64_t{last} - first + 1);
    std::unique_ptr<rocksdb::Iterator> pages(store->db->NewIterator(options));
    for (pages->Seek(Key(database, first).slice()); pages->Valid(); pages->Next()) {
      reads.Advance();
      const Slice value = pages->value();
      if (callback(context, PageOf(pages->key()), reinterpret_cast<const uint8_t*>(value.data()),
                   static_cast<int32_t>(value.size())) != 0)
        break;
    }
    return Finish(pages->status(), error);
  });
}

rv_snapshot* rv_snapshot_take(rv_store* store) {
  return GuardOr<rv_snapshot*>(nullptr, [&] {
    return reinterpret_cast<rv_snapshot*>(const_cast<rocksdb::Snapshot*>(store->db->GetSnapshot()));
  });
}

void rv_snapshot_release(rv_store* store, rv_snapshot* snapshot) {
  GuardOr(0, [&] {
    store->db->ReleaseSnapshot(AsSnapshot(snapshot));
    return 0;
  });
}

int32_t rv_applied(rv_store* store, rv_snapshot* snapshot, uint64_t* applied, char** error) {
  return Guard(error, [&] {
    rocksdb::ReadOptions options;
    options.snapshot = AsSnapshot(snapshot);
    return Finish(ReadApplied(store, options, applied), error);
  });
}

int32_t rv_persisted_applied(rv_store* store, uint64_t* applied, char** error) {
  return Guard(error, [&]() -> int32_t {
    std::lock_guard<std::mutex> lock(store->persisted_mutex);
    const uint64_t flushes = store->listener->flushes();
    if (store->persisted_at != flushes) {
      rocksdb::ReadOptions options;
      options.read_tier = rocksdb::kPersistedTier;
      Status status = ReadApplied(store, options, &store->persisted);
      if (!status.ok()) return Finish(status, error);
      store->persisted_at = flushes;
    }
    *applied = store->persisted;
    return RV_OK;
  });
}

rv_batch* rv_batch_create(void) {
  return GuardOr<rv_batch*>(nullptr, [] { return new rv_batch(); });
}

void rv_batch_free(rv_batch* batch) { delete batch; }

// Clearing sets a length, and frees: it throws nothing.
void rv_batch_clear(rv_batch* batch) { batch->writes.Clear(); }

int64_t rv_batch_bytes(rv_batch* batch) { return static_cast<int64_t>(batch->writes.GetDataSize()); }

int32_t rv_batch_put(rv_batch* batch, uint32_t database, uint32_t page, const uint8_t* value, int32_t length) {
  return Guard(nullptr, [&] {
    return Finish(batch->writes.Put(Key(database, page).slice(),
                                    Slice(reinterpret_cast<const char*>(value), static_cast<size_t>(length))),
                  nullptr);
  });
}

int32_t rv_batch_delete_range(rv_batch* batch, uint32_t database, uint32_t first, uint32_t last) {
  return Guard(nullptr, [&] {
    // A few deletions of keys burden later reads, and collection, less than one range does.
    constexpr uint32_t kFewPages = 64;
    if (last - first >= kFewPages)
      return Finish(batch->writes.DeleteRange(Key(database, first).slice(), Key::After(database, last).slice()),
                    nullptr);
    Status status;
    for (uint64_t page = first; page <= last && status.ok(); page++)
      status = batch->writes.Delete(Key(database, static_cast<uint32_t>(page)).slice());
    return Finish(status, nullptr);
  });
}

int32_t rv_apply(rv_store* store, rv_batch* batch, int32_t has_applied, uint64_t applied, char** error) {
  return Guard(error, [&] {
    rocksdb::WriteBatch& writes = batch->writes;
    writes.SetSavePoint();
    Status status;
    if (has_applied != 0)
      status = writes.Put(kApplied.slice(), Slice(reinterpret_cast<const char*>(&applied), sizeof(applied)));
    rocksdb::WriteOptions options;
    options.disableWAL = true;  // the recovery log is the write-ahead log
    if (status.ok()) status = Resumed(store);
    if (status.ok()) status = store->db->Write(options, &writes);
    if (status.ok())
      writes.Clear();
    else
      writes.RollbackToSavePoint().PermitUncheckedError();
    return Finish(status, error);
  });
}

int32_t rv_flush(rv_store* store, char** error) {
  return Guard(error, [&] {
    Status status = Resumed(store);
    if (status.ok()) status = FlushAndWait(store);
    if (status.ok()) status = Settled(store);
    store->listener->CountFlush();  // the listener may be told only after Flush returned
    return Finish(status, *store->log, error);
  });
}

namespace {

// What is collected has grown old and will stay: it is compressed with zstd, a fifth to a quarter denser, for twice the
// processor time of a write and some microseconds more for a read. What is flushed meanwhile shares it. Where it does
// not work, the MANIFEST could not be written, and collection would fail too.
class DenserPages {
 public:
  explicit DenserPages(rv_store* store)
      : store_(store), active_(store->db->GetOptions().blob_compression_type == rocksdb::kLZ4Compression) {
    if (active_) status_ = SetBlobCompression(store_, kOldPages);
  }
  ~DenserPages() {
    if (active_) SetBlobCompression(store_, kFreshPages).PermitUncheckedError();
  }
  DenserPages(const DenserPages&) = delete;
  DenserPages& operator=(const DenserPages&) = delete;

  const Status& status() const { return status_; }

 private:
  rv_store* const store_;
  const bool active_;
  Status status_;
};

}  // namespace

int32_t rv_compact(rv_store* store, int32_t collect, double age_cutoff, const uint8_t* canceled, char** error) {
  static_assert(sizeof(std::atomic<bool>) == 1, "a canceled flag is one byte");
  return Guard(error, [&] {
    rocksdb::CompactRangeOptions options;
    options.exclusive_manual_compaction = false;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
    options.blob_garbage_collection_policy =
        collect != 0 ? rocksdb::BlobGarbageCollectionPolicy::kForce : rocksdb::BlobGarbageCollectionPolicy::kDisable;
    options.blob_garbage_collection_age_cutoff = age_cutoff;
    options.canceled = reinterpret_cast<std::atomic<bool>*>(const_cast<uint8_t*>(canceled));
    Status status = Resumed(store);
    if (status.ok() && collect != 0) {
      DenserPages denser(store);
      status = denser.status();
      if (status.ok()) status = store->db->CompactRange(options, nullptr, nullptr);
    } else if (status.ok()) {
      status = store->db->CompactRange(options, nullptr, nullptr);
    }
    return Finish(status, *store->log, error);
  });
}

int32_t rv_hold_files(rv_store* store, int32_t hold, char** error) {
  return Guard(error, [&] {
    if (hold != 0)
      store->files->Hold();
    else
      store->files->Release();
    return static_cast<int32_t>(RV_OK);
  });
}

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
