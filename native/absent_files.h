// Files that have their length, and not all of their bytes: they are read by somebody who brings in what is missing.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "recovery_native.h"
#include "rocksdb/file_system.h"

namespace recovery {

class AbsentFiles {
 public:
  // Once, before any file is opened.
  void Use(rv_read_callback callback, void* context);

  // Says whether bytes of a file may be missing. A file that was opened before hears of it, too.
  void Set(const std::string& name, bool absent);

  // Whether there are any now.
  bool Any() const { return any_; }

  bool Has(const std::string& name) { return Find(name) != nullptr; }

  // The file, read by the callback while bytes may be missing; the file itself when none can be.
  std::unique_ptr<rocksdb::FSRandomAccessFile> Gated(std::unique_ptr<rocksdb::FSRandomAccessFile> file,
                                                     const std::string& path);

 private:
  friend class GatedRandomAccessFile;
  using Flag = std::atomic<bool>;

  std::shared_ptr<Flag> Find(const std::string& name);
  rocksdb::IOStatus Read(const std::string& name, uint64_t offset, size_t n, rocksdb::Slice* result,
                         char* scratch) const;

  rv_read_callback callback_ = nullptr;
  void* context_ = nullptr;
  std::atomic<bool> any_{false};
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Flag>> flags_;
};

}  // namespace recovery
