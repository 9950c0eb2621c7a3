// What RocksDB's background threads tell.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "at_exit.h"
#include "rocksdb/listener.h"

namespace recovery {

using rocksdb::DB;
using rocksdb::Status;

// Counts flushes, keeps errors, and knows whether the disk was full.
class Listener : public rocksdb::EventListener {
 public:
  void OnFlushCompleted(DB*, const rocksdb::FlushJobInfo&) override {
    flushes_++;
    changed_.notify_all();
    StopBeforeWhatTheFlushMade();
  }

  void OnCompactionCompleted(DB*, const rocksdb::CompactionJobInfo&) override { StopBeforeWhatTheCompactionMade(); }

  void OnBackgroundError(rocksdb::BackgroundErrorReason, Status* error) override {
    if (error->IsNoSpace() && error->severity() == Status::Severity::kSoftError) {
      // A compaction for which there was no space is tried again by itself, and writes can go on; as an error on record
      // it would refuse them, once Resume was called (is_db_stopped_, see FlushAndWait).
      *error = Status::OK();
      return;
    }
    if (error->IsNoSpace()) full_ = true;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      errors_++;
      last_error_ = *error;
    }
    changed_.notify_all();
  }

  // RocksDB would poll for space by itself, and refuse to resume meanwhile. The next write resumes: see Resumed.
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, Status, bool* auto_recovery) override {
    *auto_recovery = false;
  }

  // Changes whenever the persisted LSN can have changed.
  uint64_t flushes() const { return flushes_; }
  void CountFlush() { flushes_++; }

  bool full() const { return full_; }
  void Resumed() { full_ = false; }

  uint64_t errors() {
    std::lock_guard<std::mutex> lock(mutex_);
    return errors_;
  }

  // Waits a little for something to change; fails with the newest error when there was one since `errors`.
  Status Wait(uint64_t errors) {
    std::unique_lock<std::mutex> lock(mutex_);
    if (errors_ == errors) changed_.wait_for(lock, std::chrono::milliseconds(20));
    return errors_ == errors ? Status::OK() : last_error_;
  }

 private:
  std::atomic<uint64_t> flushes_{0};
  std::atomic<bool> full_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t errors_ = 0;
  Status last_error_;
};

}  // namespace recovery
