// Failures of files that tests ask for.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "recorded_names.h"
#include "recovery_native.h"
#include "rocksdb/file_system.h"

namespace recovery {

using rocksdb::IOStatus;

// The faults that tests ask for.
class Faults {
 public:
  explicit Faults(const Recorded& recorded) : recorded_(recorded) {}
  void Add(int32_t operations, std::string pattern, int64_t skip, int64_t times, int32_t error);
  void Clear();
  IOStatus Check(int32_t operation, const std::string& path) {
    return any_.load(std::memory_order_relaxed) ? CheckSlowly(operation, path) : IOStatus::OK();
  }

 private:
  struct Fault {
    int32_t operations;
    std::string pattern;
    int64_t skip, times;
    int32_t error;
  };
  IOStatus CheckSlowly(int32_t operation, const std::string& path);

  const Recorded& recorded_;
  std::atomic<bool> any_{false};
  std::mutex mutex_;
  std::vector<Fault> faults_;
};

// A reader that fails when it is asked to; the faults outlive it.
std::unique_ptr<rocksdb::FSRandomAccessFile> WithFaults(std::unique_ptr<rocksdb::FSRandomAccessFile>&& file,
                                                        Faults* faults, std::string path);

}  // namespace recovery
