// Opens and closes a store, and reads its pages.
#include "store.h"

#include <cstring>

#include "at_exit.h"
#include "calls.h"
#include "options.h"
#include "rocksdb/convenience.h"
#include "scan_reads.h"

using recovery::Fail;
using recovery::Finish;
using recovery::Guard;
using recovery::GuardOr;
using recovery::kApplied;
using recovery::Key;
using rocksdb::DB;
using rocksdb::Slice;
using rocksdb::Status;

namespace {

uint32_t NumberAt(const Slice& key, size_t at) {
  uint32_t number = 0;
  for (size_t i = at; i < at + 4; i++) number = number << 8 | static_cast<uint8_t>(key[i]);
  return number;
}

uint32_t DatabaseOf(const Slice& key) { return NumberAt(key, 0); }

uint32_t PageOf(const Slice& key) { return NumberAt(key, 4); }

const rocksdb::Snapshot* AsSnapshot(rv_snapshot* snapshot) {
  return reinterpret_cast<const rocksdb::Snapshot*>(snapshot);
}

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

// With a bound on open files RocksDB opens two tables at once, and the others when they are read; without, all of them
// at once, which is quicker where they are here. The smallest bound that it takes.
constexpr int kFewOpenFiles = 20;

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
    if (writes) store->opening = std::make_shared<recovery::QuietOpening>(store->files, given->create != 0);
    store->env = writes ? rocksdb::NewCompositeEnv(store->opening) : rocksdb::NewCompositeEnv(store->files);
    options.env = store->env.get();
    // Tables that are not here are opened when they are read.
    const int most_open = options.max_open_files;
    const bool few = store->files->absent().Any();
    if (few) options.max_open_files = kFewOpenFiles;
    DB* db = nullptr;
    Status status = writes ? DB::Open(options, given->directory, &db) : OpenForReading(options, given->directory, &db);
    store->db.reset(db);
    if (status.ok() && few) status = db->SetDBOptions({{"max_open_files", std::to_string(most_open)}});
    if (writes) store->opening->Opened();
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

int32_t rv_next_database(rv_store* store, uint32_t from, uint32_t* database, char** error) {
  return Guard(error, [&] {
    std::unique_ptr<rocksdb::Iterator> pages(store->db->NewIterator(rocksdb::ReadOptions()));
    pages->Seek(Key(from, 0).slice());
    *database = pages->Valid() ? DatabaseOf(pages->key()) : 0;
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
      Status status;
      if (store->opening != nullptr) status = store->opening->MakeDurable(store->db->GetName());
      if (status.ok()) status = ReadApplied(store, options, &store->persisted);
      if (!status.ok()) return Finish(status, error);
      store->persisted_at = flushes;
    }
    *applied = store->persisted;
    return RV_OK;
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

}  // extern "C"
