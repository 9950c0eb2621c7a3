// RocksDB's file system, with every change of a file that matters reported in order (see rv_file_callback).
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "absent_files.h"
#include "faults.h"
#include "recorded_names.h"
#include "recovery_native.h"
#include "rocksdb/env.h"
#include "rocksdb/file_system.h"
#include "rocksdb/version.h"

static_assert(ROCKSDB_MAJOR == 7 && ROCKSDB_MINOR == 8, "librecovery_native is written and tested for RocksDB 7.8");

namespace recovery {

using rocksdb::FileOptions;
using rocksdb::FileSystem;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::Slice;

// Why the recorder is about to say no to this thread.
void RefuseBecause(const char* why, bool is_fenced);

class RecordedFileSystem : public rocksdb::FileSystemWrapper {
 public:
  RecordedFileSystem(rv_file_callback callback, void* context, bool wrap_reads, Recorded recorded = Recorded());

  static const char* kClassName() { return "RecordedFileSystem"; }
  const char* Name() const override { return kClassName(); }

  IOStatus NewWritableFile(const std::string& path, const FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext* dbg) override;
  IOStatus ReopenWritableFile(const std::string& path, const FileOptions& options,
                              std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext* dbg) override;
  IOStatus ReuseWritableFile(const std::string& path, const std::string& old_path, const FileOptions& options,
                             std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext* dbg) override;
  IOStatus NewRandomRWFile(const std::string& path, const FileOptions& options,
                           std::unique_ptr<rocksdb::FSRandomRWFile>* result, IODebugContext* dbg) override;
  IOStatus NewRandomAccessFile(const std::string& path, const FileOptions& options,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* result, IODebugContext* dbg) override;
  IOStatus NewSequentialFile(const std::string& path, const FileOptions& options,
                             std::unique_ptr<rocksdb::FSSequentialFile>* result, IODebugContext* dbg) override;
  IOStatus DeleteFile(const std::string& path, const IOOptions& options, IODebugContext* dbg) override;
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                      IODebugContext* dbg) override;
  IOStatus LinkFile(const std::string& from, const std::string& to, const IOOptions& options,
                    IODebugContext* dbg) override;
  IOStatus Truncate(const std::string& path, size_t size, const IOOptions& options, IODebugContext* dbg) override;
  IOStatus LockFile(const std::string& path, const IOOptions& options, rocksdb::FileLock** lock,
                    IODebugContext* dbg) override;

  IOStatus UnlockFile(rocksdb::FileLock* lock, const IOOptions& options, IODebugContext* dbg) override;
  IOStatus GetFileSize(const std::string& path, const IOOptions& options, uint64_t* size, IODebugContext* dbg) override;

  // Until the last Release, files that RocksDB deletes stay where they are; then they go. RocksDB has a hold of its own
  // (DisableFileDeletions), but its Resume lifts everybody's.
  void Hold();
  void Release();

  // Opens a file for reading now, so that it can be read later although somebody else may have deleted it.
  IOStatus Pin(const std::string& path, uint64_t* size);

  // A file of that path is not to be made: nobody would record it.
  void Forbid(const std::string& path);

  // How many hold the LOCK of a whole directory: RocksDBs that are open.
  int locks() const { return locks_; }

  // Reports one event; a refusal becomes an I/O error that names the file.
  IOStatus Report(int32_t event, const std::string& name, const std::string& other, const Slice& bytes, uint64_t size,
                  uint32_t crc32c);

  // The size and checksum of a whole file.
  IOStatus Measure(const std::string& path, uint64_t* size, uint32_t* crc32c);

  Faults& faults() { return faults_; }
  AbsentFiles& absent() { return absent_; }
  const Recorded& recorded() const { return recorded_; }

 private:
  const rv_file_callback callback_;
  void* const context_;
  const bool wrap_reads_;
  const Recorded recorded_;
  Faults faults_;
  AbsentFiles absent_;

  struct Pinned {
    std::shared_ptr<rocksdb::FSRandomAccessFile> file;
    uint64_t size;
  };
  std::atomic<bool> any_pinned_{false};
  std::mutex pinned_mutex_;
  std::map<std::string, Pinned> pinned_;  // by name
  bool FindPinned(const std::string& path, Pinned* found);

  std::mutex held_mutex_;
  int holds_ = 0;
  std::set<std::string> held_;  // deleted, but for the holds
  bool KeptBack(const std::string& path);
  void NotDeleted(const std::string& path);
  IOStatus DeleteNow(const std::string& path, const IOOptions& options, IODebugContext* dbg);
  bool IsElsewhere(const std::string& path) const;
  std::atomic<int> locks_{0};
  std::atomic<bool> any_forbidden_{false};
  std::mutex forbidden_mutex_;
  std::set<std::string> forbidden_;
  IOStatus MayWrite(const std::string& path, FileKind kind, const FileOptions& options);
  IOStatus MayLock(const std::string& path) const;
  IOStatus Adopt(const std::string& path);

  // Whether it is the MANIFEST that CURRENT names, or may be. RocksDB 7.8 deletes that one, and with it the store, when
  // the writing of the next one failed and its error handler was not told (ProcessManifestWrites notes the number of a
  // MANIFEST of which WriteCurrentStateToManifest failed).
  bool IsCurrent(const std::string& path, const std::string& name);
};

}  // namespace recovery

struct rv_files {
  std::shared_ptr<recovery::RecordedFileSystem> system;
  std::unique_ptr<rocksdb::Env> env;  // of a whole directory: see rv_record
};
