#include "quiet_opening.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "recorded_files.h"

namespace recovery {

using rocksdb::FSDirectory;
using rocksdb::FSWritableFile;

namespace {

bool IsManifest(const std::string& name) { return name.rfind("MANIFEST-", 0) == 0; }

std::string DirectoryOf(const std::string& path) { return path.substr(0, path.find_last_of('/')); }

IOStatus SyncPath(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return IOStatus::IOError("While opening a file to sync it: " + path, strerror(errno));
  const int failed = fsync(fd) != 0 ? errno : 0;
  close(fd);
  return failed == 0 ? IOStatus::OK() : IOStatus::IOError("While fsync: " + path, strerror(failed));
}

// RocksDB's own log: it is off, and its files would stay empty.
class NoFile : public FSWritableFile {
 public:
  explicit NoFile(std::string path) : path_(std::move(path)) {}

  IOStatus Append(const Slice& data, const IOOptions&, IODebugContext*) override {
    return data.empty() ? IOStatus::OK() : IOStatus::NotSupported("RocksDB's own log is off", path_);
  }
  IOStatus Append(const Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo&,
                  IODebugContext* dbg) override {
    return Append(data, options, dbg);
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Truncate(uint64_t, const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }

 private:
  const std::string path_;
};

}  // namespace

// The new MANIFEST, or the file that becomes CURRENT: in memory until it is needed. RocksDB writes it from one thread
// at a time.
class LateFile : public FSWritableFile {
 public:
  LateFile(QuietOpening* opening, std::string path, const FileOptions& options)
      : FSWritableFile(options), opening_(opening), path_(std::move(path)), options_(options) {}

  ~LateFile() override {
    std::lock_guard<std::mutex> lock(opening_->mutex_);
    if (file_ == nullptr && opening_->manifest_ == path_) opening_->manifest_.clear();
  }

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* dbg) override {
    if (file_ != nullptr) return file_->Append(data, options, dbg);
    text_.append(data.data(), data.size());
    std::lock_guard<std::mutex> lock(opening_->mutex_);
    if (opening_->manifest_ == path_) opening_->manifest_size_ = text_.size();
    if (opening_->temporary_ == path_) opening_->text_ = text_;
    return IOStatus::OK();
  }
  IOStatus Append(const Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo& verification,
                  IODebugContext* dbg) override {
    return file_ != nullptr ? file_->Append(data, options, verification, dbg) : Append(data, options, dbg);
  }

  IOStatus Flush(const IOOptions& options, IODebugContext* dbg) override {
    return file_ != nullptr ? file_->Flush(options, dbg) : IOStatus::OK();
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* dbg) override {
    if (file_ != nullptr) return file_->Sync(options, dbg);
    return IsQuiet() ? IOStatus::OK() : Write(options, dbg);
  }
  IOStatus Close(const IOOptions& options, IODebugContext* dbg) override {
    return file_ != nullptr ? file_->Close(options, dbg) : IOStatus::OK();
  }
  IOStatus Truncate(uint64_t size, const IOOptions& options, IODebugContext* dbg) override {
    return file_ != nullptr ? file_->Truncate(size, options, dbg) : IOStatus::OK();
  }
  uint64_t GetFileSize(const IOOptions& options, IODebugContext* dbg) override {
    return file_ != nullptr ? file_->GetFileSize(options, dbg) : text_.size();
  }
  void SetPreallocationBlockSize(size_t size) override {
    block_bytes_ = size;
    FSWritableFile::SetPreallocationBlockSize(size);
  }
  void PrepareWrite(size_t offset, size_t size, const IOOptions& options, IODebugContext* dbg) override {
    if (file_ != nullptr) file_->PrepareWrite(offset, size, options, dbg);
  }

 private:
  bool IsQuiet() {
    std::lock_guard<std::mutex> lock(opening_->mutex_);
    return opening_->IsOpening() || opening_->manifest_ != path_;
  }

  // As RocksDB would have done it: the MANIFEST whole, then CURRENT.
  IOStatus Write(const IOOptions& options, IODebugContext* dbg) {
    std::unique_ptr<FSWritableFile> file;
    IOStatus status = opening_->target()->NewWritableFile(path_, options_, &file, dbg);
    if (status.ok()) {
      file->SetPreallocationBlockSize(block_bytes_);
      file->PrepareWrite(0, text_.size(), options, dbg);
      status = file->Append(text_, options, dbg);
    }
    if (status.ok()) status = file->Sync(options, dbg);
    if (status.ok()) status = opening_->WriteCurrent();
    if (!status.ok()) return status;
    file_ = std::move(file);
    text_ = std::string();
    return status;
  }

  QuietOpening* const opening_;  // outlives all its files: the store keeps it
  const std::string path_;
  const FileOptions options_;
  std::string text_;
  size_t block_bytes_ = 0;
  std::unique_ptr<FSWritableFile> file_;
};

// A directory whose changes are all in memory needs no sync.
class QuietDirectory : public FSDirectory {
 public:
  QuietDirectory(std::unique_ptr<FSDirectory>&& directory, QuietOpening* opening)
      : directory_(std::move(directory)), opening_(opening) {}

  IOStatus Fsync(const IOOptions& options, IODebugContext* dbg) override {
    return IsQuiet() ? IOStatus::OK() : directory_->Fsync(options, dbg);
  }
  IOStatus FsyncWithDirOptions(const IOOptions& options, IODebugContext* dbg,
                               const rocksdb::DirFsyncOptions& why) override {
    return IsQuiet() ? IOStatus::OK() : directory_->FsyncWithDirOptions(options, dbg, why);
  }
  IOStatus Close(const IOOptions& options, IODebugContext* dbg) override { return directory_->Close(options, dbg); }
  size_t GetUniqueId(char* id, size_t size) const override { return directory_->GetUniqueId(id, size); }

 private:
  bool IsQuiet() {
    std::lock_guard<std::mutex> lock(opening_->mutex_);
    return opening_->IsOpening() && !opening_->changed_;
  }

  const std::unique_ptr<FSDirectory> directory_;
  QuietOpening* const opening_;
};

void QuietOpening::Opened() {
  std::lock_guard<std::mutex> lock(mutex_);
  opening_ = false;
}

IOStatus QuietOpening::MakeDurable(const std::string& directory) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (current_.empty() || durable_) return IOStatus::OK();
  }
  std::string name;
  IOStatus status = rocksdb::ReadFileToString(FileSystem::Default().get(), directory + "/CURRENT", &name);
  if (status.ok() && !name.empty()) name.pop_back();
  if (status.ok()) status = SyncPath(directory + "/" + name);
  if (status.ok()) status = SyncPath(directory);
  std::lock_guard<std::mutex> lock(mutex_);
  if (status.ok()) durable_ = true;
  // The new MANIFEST was written meanwhile, and the old one is gone.
  return current_.empty() ? IOStatus::OK() : status;
}

IOStatus QuietOpening::NewWritableFile(const std::string& path, const FileOptions& options,
                                       std::unique_ptr<FSWritableFile>* result, IODebugContext* dbg) {
  const std::string name = NameOf(path);
  if (EndsWith(name, ".log")) {
    result->reset(new NoFile(path));
    return IOStatus::OK();
  }
  // RocksDB goes on without.
  if (name.rfind("OPTIONS-", 0) == 0) return IOStatus::NotSupported("No options are written", path);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    const bool is_manifest = IsManifest(name);
    if (IsOpening() && (is_manifest || EndsWith(name, ".dbtmp"))) {
      if (is_manifest)
        manifest_ = path, manifest_size_ = 0;
      else
        temporary_ = path, text_.clear();
      result->reset(new LateFile(this, path, options));
      return IOStatus::OK();
    }
    changed_ = true;
  }
  return target()->NewWritableFile(path, options, result, dbg);
}

IOStatus QuietOpening::RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                                  IODebugContext* dbg) {
  std::string text;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (from == temporary_ && !temporary_.empty()) {
      if (NameOf(to) == "CURRENT" && !manifest_.empty()) {
        current_ = to;
        return IOStatus::OK();
      }
      text = std::exchange(text_, std::string());
      temporary_.clear();
    }
    changed_ = true;
  }
  IOStatus status = text.empty() ? IOStatus::OK() : rocksdb::WriteStringToFile(target(), text, from, true);
  if (status.ok()) status = target()->RenameFile(from, to, options, dbg);
  if (status.ok() && NameOf(to) == "CURRENT") DeleteLeft();
  return status;
}

IOStatus QuietOpening::WriteCurrent() {
  std::string temporary, text, current;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    temporary = temporary_, text = text_, current = current_;
  }
  IOStatus status = rocksdb::WriteStringToFile(target(), text, temporary, true);
  if (status.ok()) status = target()->RenameFile(temporary, current, IOOptions(), nullptr);
  std::unique_ptr<FSDirectory> directory;
  if (status.ok()) status = target()->NewDirectory(DirectoryOf(current), IOOptions(), &directory, nullptr);
  if (status.ok()) status = directory->Fsync(IOOptions(), nullptr);
  if (!status.ok()) return status;
  DeleteLeft();
  return status;
}

void QuietOpening::DeleteLeft() {
  std::set<std::string> left;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    manifest_.clear();
    temporary_.clear();
    current_.clear();
    left.swap(left_);
  }
  // One that cannot be deleted now goes when the store is opened next.
  for (const std::string& path : left) target()->DeleteFile(path, IOOptions(), nullptr).PermitUncheckedError();
}

IOStatus QuietOpening::DeleteFile(const std::string& path, const IOOptions& options, IODebugContext* dbg) {
  const std::string name = NameOf(path);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!current_.empty() && IsManifest(name)) {
      left_.insert(path);
      return IOStatus::OK();
    }
  }
  IOStatus status = target()->DeleteFile(path, options, dbg);
  return EndsWith(name, ".log") && status.IsPathNotFound() ? IOStatus::OK() : status;
}

IOStatus QuietOpening::GetFileSize(const std::string& path, const IOOptions& options, uint64_t* size,
                                   IODebugContext* dbg) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (path == manifest_) {
      *size = manifest_size_;
      return IOStatus::OK();
    }
  }
  return target()->GetFileSize(path, options, size, dbg);
}

IOStatus QuietOpening::NewDirectory(const std::string& path, const IOOptions& options,
                                    std::unique_ptr<FSDirectory>* result, IODebugContext* dbg) {
  std::unique_ptr<FSDirectory> directory;
  IOStatus status = target()->NewDirectory(path, options, &directory, dbg);
  if (status.ok()) result->reset(new QuietDirectory(std::move(directory), this));
  return status;
}

}  // namespace recovery
