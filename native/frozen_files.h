// A RocksDB's directory as it is at one moment, although another process goes on writing it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "rocksdb/file_system.h"

namespace recovery {

// All files are opened at the beginning, between two looks that show the same MANIFEST and the same write-ahead logs.
// So what the MANIFEST tells of is there; the newest write-ahead log is read as far as it had come. What is deleted,
// replaced or written later is not seen. Nothing can be changed through it.
class FrozenFiles : public rocksdb::FileSystemWrapper {
 public:
  FrozenFiles(const std::shared_ptr<rocksdb::FileSystem>& files, const std::string& directory);

  static const char* kClassName() { return "FrozenFiles"; }
  const char* Name() const override { return kClassName(); }

  // To be called once, first. Busy when the directory changes too fast.
  rocksdb::Status Freeze();

  rocksdb::IOStatus NewSequentialFile(const std::string& path, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSSequentialFile>* result,
                                      rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus NewRandomAccessFile(const std::string& path, const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                                        rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus GetFileSize(const std::string& path, const rocksdb::IOOptions& options, uint64_t* size,
                                rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus FileExists(const std::string& path, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus GetChildren(const std::string& path, const rocksdb::IOOptions& options,
                                std::vector<std::string>* names, rocksdb::IODebugContext* dbg) override;

 private:
  struct Held {
    std::shared_ptr<const int> file;  // closed by the last who has it
    uint64_t size;
  };
  bool HoldAll();
  bool IsInside(const std::string& path) const;
  const Held* Find(const std::string& path) const;

  const std::string directory_;
  std::map<std::string, Held> held_;  // by name
};

}  // namespace recovery
