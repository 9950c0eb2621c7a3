// An opening that changes nothing writes nothing.
#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "rocksdb/file_system.h"

namespace recovery {

// RocksDB writes when it is opened: a MANIFEST that says what the one before said, CURRENT, its options, and a log of
// its own that is never used. That is five syncs, and four changes of files for the recovery log to tell. Here, the new
// MANIFEST and CURRENT stay in memory until RocksDB has something new to say; then they are written as they would have
// been, before the MANIFEST's sync returns. A process that ends earlier has changed nothing: the old CURRENT names the
// old MANIFEST, and that is not deleted before. Options and logs are never written.
//
// What an opening finds may not have been durable, if the process before ended between a write and its sync. The
// new MANIFEST made it so. Until that is written, whoever relies on it calls MakeDurable.
class QuietOpening : public rocksdb::FileSystemWrapper {
 public:
  // Made by the thread that opens the database. One that is created is written as it comes.
  QuietOpening(const std::shared_ptr<rocksdb::FileSystem>& files, bool creates)
      : FileSystemWrapper(files), opening_(!creates) {}

  static const char* kClassName() { return "QuietOpening"; }
  const char* Name() const override { return kClassName(); }

  // The database is open: what RocksDB says from now on is new.
  void Opened();

  // Everything that the opening found survives a loss of power.
  rocksdb::IOStatus MakeDurable(const std::string& directory);

  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result,
                                    rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus DeleteFile(const std::string& path, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus GetFileSize(const std::string& path, const rocksdb::IOOptions& options, uint64_t* size,
                                rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus NewDirectory(const std::string& path, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* result, rocksdb::IODebugContext* dbg) override;

 private:
  friend class LateFile;
  friend class QuietDirectory;

  // Writes CURRENT as it would have been written when the database was opened.
  rocksdb::IOStatus WriteCurrent();
  // Deletes what the old MANIFEST needed.
  void DeleteLeft();
  // Whether the call is a part of the opening. RocksDB's own threads may be at work before it ends.
  bool IsOpening() const { return opening_ && std::this_thread::get_id() == opener_; }

  const std::thread::id opener_ = std::this_thread::get_id();
  std::mutex mutex_;
  bool opening_;
  bool changed_ = false;  // something was written to the directory
  bool durable_ = false;  // what the opening found
  std::string manifest_;  // the path of the new MANIFEST, while it is in memory
  uint64_t manifest_size_ = 0;
  std::string temporary_;  // the path, and what it holds, of what is to be renamed to CURRENT
  std::string text_;
  std::string current_;         // the path of CURRENT, once it is renamed
  std::set<std::string> left_;  // to be deleted afterwards
};

}  // namespace recovery
