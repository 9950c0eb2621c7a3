// What a store is for the files of this library that work on it, and how its keys are made.
#pragma once

#include <cstdint>
#include <future>
#include <memory>
#include <mutex>
#include <string>

#include "last_words.h"
#include "listener.h"
#include "quiet_opening.h"
#include "recorded_files.h"
#include "recovery_native.h"
#include "rocksdb/db.h"
#include "rocksdb/env.h"

namespace recovery {

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
  rocksdb::Slice slice() const { return rocksdb::Slice(bytes_, size_); }

 private:
  char bytes_[9];
  size_t size_;
};

// The applied LSN, u64 LE, lies before all pages: no database has the number 0. It is written with every batch, as page
// 0 of some database is, so its place makes no file's key range wider than it would be.
inline const Key kApplied(0, 0);

// A figure of RocksDB's; 0 when it has none.
uint64_t Property(rv_store* store, const std::string& name);

}  // namespace recovery

struct rv_store {
  // In the order in which they must go: the database first.
  std::shared_ptr<recovery::RecordedFileSystem> files;
  std::shared_ptr<recovery::QuietOpening> opening;  // who only reads has none
  std::unique_ptr<rocksdb::Env> env;
  std::shared_ptr<recovery::Listener> listener = std::make_shared<recovery::Listener>();
  std::shared_ptr<recovery::LastWords> log = std::make_shared<recovery::LastWords>();
  std::unique_ptr<rocksdb::DB> db;

  std::mutex settings_mutex;
  bool setting_failed = false;  // and file deletions are off: see SetBlobCompression

  std::mutex resume_mutex;
  std::future<rocksdb::Status> resuming;  // a Resume under way, perhaps for ever

  std::mutex persisted_mutex;
  uint64_t persisted_at = UINT64_MAX;  // the flush count at which `persisted` was read
  uint64_t persisted = 0;
};
