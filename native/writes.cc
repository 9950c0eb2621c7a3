// Writes pages, and brings them to the disk: batches, flushes, compactions, and going on after the disk was full.
#include <atomic>
#include <chrono>
#include <thread>

#include "calls.h"
#include "store.h"

using recovery::Finish;
using recovery::Guard;
using recovery::GuardOr;
using recovery::kApplied;
using recovery::Key;
using recovery::Property;
using rocksdb::DB;
using rocksdb::Slice;
using rocksdb::Status;

struct rv_batch {
  rocksdb::WriteBatch writes;
};

namespace {

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

}  // extern "C"
