#include "recorded_files.h"

#include <sys/stat.h>

#include <utility>

#include "calls.h"
#include "scan_reads.h"

// See crc32c.cc.
namespace rocksdb::crc32c {
extern uint32_t Extend(uint32_t crc, const char* data, size_t length);
}

namespace recovery {

namespace {

bool StartsWith(const std::string& text, const char* start) { return text.rfind(start, 0) == 0; }

bool EndsWith(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// A file being written: keeps its size and checksum, and reports. RocksDB writes each file from one thread at a time.
class RecordedWritableFile : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  RecordedWritableFile(std::unique_ptr<rocksdb::FSWritableFile>&& file, RecordedFileSystem* system, std::string path,
                       FileKind kind)
      : FSWritableFileOwnerWrapper(std::move(file)),
        system_(system),
        path_(std::move(path)),
        name_(NameOf(path_)),
        kind_(kind) {}

  // RocksDB does not close all files that it writes (CURRENT's predecessor, for one): being dropped seals them too.
  ~RecordedWritableFile() override { Seal().PermitUncheckedError(); }

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* dbg) override {
    IOStatus status = BeforeWrite();
    if (status.ok()) status = FSWritableFileOwnerWrapper::Append(data, options, dbg);
    return Appended(status, data);
  }

  IOStatus Append(const Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo& verification,
                  IODebugContext* dbg) override {
    IOStatus status = BeforeWrite();
    if (status.ok()) status = FSWritableFileOwnerWrapper::Append(data, options, verification, dbg);
    return Appended(status, data);
  }

  // Direct I/O: whole blocks, of which the last is written again when more came, and padded; the end is cut off before
  // it is closed. So the checksum is made when it is sealed. Only tables and blobs are written so.
  IOStatus PositionedAppend(const Slice& data, uint64_t offset, const IOOptions& options,
                            IODebugContext* dbg) override {
    IOStatus status = BeforePositioned();
    return status.ok() ? Positioned(FSWritableFileOwnerWrapper::PositionedAppend(data, offset, options, dbg)) : status;
  }
  IOStatus PositionedAppend(const Slice& data, uint64_t offset, const IOOptions& options,
                            const rocksdb::DataVerificationInfo& verification, IODebugContext* dbg) override {
    IOStatus status = BeforePositioned();
    return status.ok()
               ? Positioned(FSWritableFileOwnerWrapper::PositionedAppend(data, offset, options, verification, dbg))
               : status;
  }

  IOStatus Truncate(uint64_t size, const IOOptions& options, IODebugContext* dbg) override {
    if (size != size_ && !positioned_) return IOStatus::NotSupported("truncate while writing", path_);
    return FSWritableFileOwnerWrapper::Truncate(size, options, dbg);
  }

  IOStatus Sync(const IOOptions& options, IODebugContext* dbg) override {
    IOStatus status = system_->faults().Check(RV_FAULT_SYNC, path_);
    return status.ok() ? Synced(FSWritableFileOwnerWrapper::Sync(options, dbg)) : Broken(status);
  }

  IOStatus Fsync(const IOOptions& options, IODebugContext* dbg) override {
    IOStatus status = system_->faults().Check(RV_FAULT_SYNC, path_);
    return status.ok() ? Synced(FSWritableFileOwnerWrapper::Fsync(options, dbg)) : Broken(status);
  }

  IOStatus Close(const IOOptions& options, IODebugContext* dbg) override {
    IOStatus status = FSWritableFileOwnerWrapper::Close(options, dbg);
    return status.ok() ? Seal() : Broken(status);
  }

 private:
  IOStatus BeforeWrite() { return system_->faults().Check(RV_FAULT_WRITE, path_); }

  IOStatus BeforePositioned() {
    if (!system_->recorded().whole_directory() || kind_ == FileKind::kInline)
      return IOStatus::NotSupported("positioned append", path_);
    return BeforeWrite();
  }

  IOStatus Positioned(const IOStatus& status) {
    positioned_ = true;
    return status.ok() ? status : Broken(status);
  }

  // Whoever waits for the sync waits for the recorder, too: it has what was appended then, and may say no.
  IOStatus Synced(const IOStatus& status) {
    if (!status.ok() || kind_ != FileKind::kInline || !system_->recorded().whole_directory()) return status;
    IOStatus reported = system_->Report(RV_FILE_SYNCED, name_, std::string(), Slice(), size_, crc32c_);
    return reported.ok() ? reported : Broken(reported);
  }

  IOStatus Broken(const IOStatus& status) {
    broken_ = true;
    return status;
  }

  IOStatus Appended(const IOStatus& status, const Slice& data) {
    if (!status.ok()) return Broken(status);
    if (kind_ == FileKind::kIgnored || data.empty()) return status;
    size_ += data.size();
    crc32c_ = rocksdb::crc32c::Extend(crc32c_, data.data(), data.size());
    IOStatus reported = system_->Report(RV_FILE_APPENDED, name_, std::string(),
                                        kind_ == FileKind::kInline ? data : Slice(), size_, crc32c_);
    return reported.ok() ? reported : Broken(reported);
  }

  // A file on which something failed is never called whole: RocksDB deletes it, or it stays unsealed.
  IOStatus Seal() {
    if (sealed_ || broken_ || kind_ == FileKind::kIgnored) return IOStatus::OK();
    sealed_ = true;
    if (positioned_) {
      IOStatus status = system_->Measure(path_, &size_, &crc32c_);
      if (!status.ok()) return status;
    }
    return system_->Report(RV_FILE_SEALED, name_, std::string(), Slice(), size_, crc32c_);
  }

  RecordedFileSystem* const system_;  // outlives all its files: the store keeps it
  const std::string path_;
  const std::string name_;
  const FileKind kind_;
  uint64_t size_ = 0;
  uint32_t crc32c_ = 0;
  bool sealed_ = false;
  bool broken_ = false;
  bool positioned_ = false;
};

// A file is as private as its directory. RocksDB lets everybody read what it makes, as far as the umask does; only
// Env::Default() as a whole, which others in the process may use, can be told not to.
void AsPrivateAsItsDirectory(const std::string& path) {
  constexpr mode_t kReaders = S_IRGRP | S_IROTH;
  struct stat directory, file;
  if (stat(path.substr(0, path.find_last_of('/')).c_str(), &directory) != 0 || stat(path.c_str(), &file) != 0) return;
  // Where it cannot be changed, the directory's mode alone has to do.
  if ((file.st_mode & kReaders & ~directory.st_mode) != 0)
    (void)!chmod(path.c_str(), file.st_mode & ALLPERMS & ~(kReaders & ~directory.st_mode));
}

// A reader of a file that is kept open by its pin.
class PinnedRandomAccessFile : public rocksdb::FSRandomAccessFileWrapper {
 public:
  explicit PinnedRandomAccessFile(std::shared_ptr<rocksdb::FSRandomAccessFile> file)
      : FSRandomAccessFileWrapper(file.get()), file_(std::move(file)) {}

 private:
  const std::shared_ptr<rocksdb::FSRandomAccessFile> file_;
};

// Readers that can be made to fail.
class FaultyRandomAccessFile : public rocksdb::FSRandomAccessFileOwnerWrapper {
 public:
  FaultyRandomAccessFile(std::unique_ptr<rocksdb::FSRandomAccessFile>&& file, RecordedFileSystem* system,
                         std::string path)
      : FSRandomAccessFileOwnerWrapper(std::move(file)), system_(system), path_(std::move(path)) {}

  IOStatus Read(uint64_t offset, size_t n, const IOOptions& options, Slice* result, char* scratch,
                IODebugContext* dbg) const override {
    IOStatus status = system_->faults().Check(RV_FAULT_READ, path_);
    return status.ok() ? FSRandomAccessFileOwnerWrapper::Read(offset, n, options, result, scratch, dbg) : status;
  }

  IOStatus MultiRead(rocksdb::FSReadRequest* requests, size_t count, const IOOptions& options,
                     IODebugContext* dbg) override {
    IOStatus status = system_->faults().Check(RV_FAULT_READ, path_);
    return status.ok() ? FSRandomAccessFileOwnerWrapper::MultiRead(requests, count, options, dbg) : status;
  }

 private:
  RecordedFileSystem* const system_;  // outlives all its files: the store keeps it
  const std::string path_;
};

}  // namespace

std::string NameOf(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

namespace {

// "digits" and then the end; nothing else.
bool IsNumbered(const std::string& name, const char* start, const char* end) {
  const std::string ending(end);
  if (!StartsWith(name, start) || !EndsWith(name, ending)) return false;
  const size_t first = std::char_traits<char>::length(start);
  if (name.size() <= first + ending.size()) return false;
  for (size_t i = first; i < name.size() - ending.size(); i++)
    if (name[i] < '0' || name[i] > '9') return false;
  return true;
}

// src/RecoveryLog/Records/TrackedName.cs has the same names.
FileKind KindInDirectory(const std::string& name) {
  if (IsNumbered(name, "", ".sst") || IsNumbered(name, "", ".blob")) return FileKind::kLarge;
  const bool is_small = name == "CURRENT" || name == "IDENTITY" || IsNumbered(name, "", ".log") ||
                        IsNumbered(name, "MANIFEST-", "") || IsNumbered(name, "OPTIONS-", "") ||
                        IsNumbered(name, "OPTIONS-", ".dbtmp") || IsNumbered(name, "", ".dbtmp");
  return is_small ? FileKind::kInline : FileKind::kIgnored;
}

}  // namespace

Recorded::Recorded(std::string directory) : directory_(std::move(directory)) {
  while (directory_.size() > 1 && directory_.back() == '/') directory_.pop_back();
}

FileKind Recorded::KindOf(const std::string& path) const {
  const std::string name = NameOf(path);
  if (whole_directory()) {
    // RocksDB puts one slash or two between the directory, as it was given, and a name.
    size_t end = path.size() - name.size();
    while (end > 1 && path[end - 1] == '/') end--;
    return path.compare(0, end, directory_) == 0 ? KindInDirectory(name) : FileKind::kIgnored;
  }
  if (EndsWith(name, ".sst") || EndsWith(name, ".blob")) return FileKind::kLarge;
  // *.log is RocksDB's own write-ahead log: off, so that these files are always empty, and not missed when missing.
  if (StartsWith(name, "LOG") || name == "LOCK" || EndsWith(name, ".log")) return FileKind::kIgnored;
  return FileKind::kInline;
}

void Faults::Add(int32_t operations, std::string pattern, int64_t skip, int64_t times, int32_t error) {
  std::lock_guard<std::mutex> lock(mutex_);
  faults_.push_back({operations, std::move(pattern), skip, times, error});
  any_ = true;
}

void Faults::Clear() {
  std::lock_guard<std::mutex> lock(mutex_);
  faults_.clear();
  any_ = false;
}

IOStatus Faults::CheckSlowly(int32_t operation, const std::string& path) {
  if (!recorded_.Has(path)) return IOStatus::OK();
  const std::string name = NameOf(path);
  std::lock_guard<std::mutex> lock(mutex_);
  for (Fault& fault : faults_) {
    if ((fault.operations & operation) == 0) continue;
    if (!EndsWith(name, fault.pattern) && !StartsWith(name, fault.pattern.c_str())) continue;
    if (fault.skip > 0) {
      fault.skip--;
      continue;
    }
    if (fault.times == 0) continue;
    if (fault.times > 0) fault.times--;
    // Worded, and flagged, as RocksDB words and flags the errors of the operating system.
    const char* what = operation == RV_FAULT_OPEN    ? "While opening a file: "
                       : operation == RV_FAULT_WRITE ? "While appending to file: "
                       : operation == RV_FAULT_SYNC  ? "While fdatasync: "
                                                     : "While pread: ";
    if (fault.error == RV_FAULT_ENOSPC) {
      IOStatus full = IOStatus::NoSpace(what + path, "No space left on device");
      full.SetRetryable(true);
      return full;
    }
    return IOStatus::IOError(what + path,
                             fault.error == RV_FAULT_EMFILE ? "Too many open files" : "Input/output error");
  }
  return IOStatus::OK();
}

RecordedFileSystem::RecordedFileSystem(rv_file_callback callback, void* context, bool wrap_reads, Recorded recorded)
    : FileSystemWrapper(FileSystem::Default()),
      callback_(callback),
      context_(context),
      wrap_reads_(wrap_reads),
      recorded_(std::move(recorded)),
      faults_(recorded_) {}

IOStatus RecordedFileSystem::Report(int32_t event, const std::string& name, const std::string& other,
                                    const Slice& bytes, uint64_t size, uint32_t crc32c) {
  if (callback_ == nullptr) return IOStatus::OK();
  int32_t refused =
      callback_(context_, event, name.c_str(), other.c_str(), reinterpret_cast<const uint8_t*>(bytes.data()),
                static_cast<int64_t>(bytes.size()), static_cast<int64_t>(size), crc32c);
  return refused == 0 ? IOStatus::OK() : IOStatus::IOError("The recorder refused a change of " + name);
}

IOStatus RecordedFileSystem::NewWritableFile(const std::string& path, const FileOptions& options,
                                             std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext* dbg) {
  IOStatus status = faults_.Check(RV_FAULT_OPEN, path);
  std::unique_ptr<rocksdb::FSWritableFile> file;
  if (status.ok()) status = target()->NewWritableFile(path, options, &file, dbg);
  if (!status.ok()) return status;
  NotDeleted(path);
  FileKind kind = recorded_.KindOf(path);
  if (kind == FileKind::kIgnored && recorded_.whole_directory()) {
    *result = std::move(file);  // somebody else's: a checkpoint, a backup, a log for people
    return status;
  }
  AsPrivateAsItsDirectory(path);
  if (kind != FileKind::kIgnored) status = Report(RV_FILE_CREATED, NameOf(path), std::string(), Slice(), 0, 0);
  if (!status.ok()) return status;
  result->reset(new RecordedWritableFile(std::move(file), this, path, kind));
  return status;
}

// RocksDB reopens no recorded file but to give back space that was set aside, and does without; a page store's, never.
IOStatus RecordedFileSystem::ReopenWritableFile(const std::string& path, const FileOptions& options,
                                                std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext* dbg) {
  return IsElsewhere(path) ? target()->ReopenWritableFile(path, options, result, dbg)
                           : IOStatus::NotSupported("reopen for writing", path);
}

// A recycled write-ahead log. Its old bytes are of no use to anybody who has only the record, so the file begins empty:
// what FileSystem's own does. Only the saving of its blocks is lost.
IOStatus RecordedFileSystem::ReuseWritableFile(const std::string& path, const std::string& old_path,
                                               const FileOptions& options,
                                               std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext* dbg) {
  if (!recorded_.whole_directory()) return IOStatus::NotSupported("reuse for writing", path);
  IOStatus status = RenameFile(old_path, path, IOOptions(), dbg);
  return status.ok() ? NewWritableFile(path, options, result, dbg) : status;
}

// To write a sequence number into an ingested file; RocksDB does without where it cannot.
IOStatus RecordedFileSystem::NewRandomRWFile(const std::string& path, const FileOptions& options,
                                             std::unique_ptr<rocksdb::FSRandomRWFile>* result, IODebugContext* dbg) {
  return IsElsewhere(path) ? target()->NewRandomRWFile(path, options, result, dbg)
                           : IOStatus::NotSupported("open for overwriting", path);
}

bool RecordedFileSystem::IsElsewhere(const std::string& path) const {
  return recorded_.whole_directory() && !recorded_.Has(path);
}

IOStatus RecordedFileSystem::Measure(const std::string& path, uint64_t* size, uint32_t* crc32c) {
  std::unique_ptr<rocksdb::FSSequentialFile> file;
  IOStatus status = target()->NewSequentialFile(path, FileOptions(), &file, nullptr);
  std::vector<char> buffer(1 << 20);
  *size = 0;
  *crc32c = 0;
  while (status.ok()) {
    Slice part;
    status = file->Read(buffer.size(), IOOptions(), &part, buffer.data(), nullptr);
    if (!status.ok() || part.empty()) break;
    *size += part.size();
    *crc32c = rocksdb::crc32c::Extend(*crc32c, part.data(), part.size());
  }
  return status;
}

IOStatus RecordedFileSystem::NewRandomAccessFile(const std::string& path, const FileOptions& options,
                                                 std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                                                 IODebugContext* dbg) {
  Pinned pinned;
  if (FindPinned(path, &pinned)) {
    result->reset(new PinnedRandomAccessFile(std::move(pinned.file)));
  } else {
    IOStatus status = faults_.Check(RV_FAULT_OPEN, path);
    if (status.ok()) status = target()->NewRandomAccessFile(path, options, result, dbg);
    if (!status.ok()) return status;
    if (wrap_reads_) result->reset(new FaultyRandomAccessFile(std::move(*result), this, path));
  }
  if (EndsWith(path, ".blob") && !recorded_.whole_directory()) *result = ForScans(std::move(*result));
  return IOStatus::OK();
}

IOStatus RecordedFileSystem::NewSequentialFile(const std::string& path, const FileOptions& options,
                                               std::unique_ptr<rocksdb::FSSequentialFile>* result,
                                               IODebugContext* dbg) {
  IOStatus status = faults_.Check(RV_FAULT_OPEN, path);
  return status.ok() ? target()->NewSequentialFile(path, options, result, dbg) : status;
}

bool RecordedFileSystem::IsCurrent(const std::string& path, const std::string& name) {
  if (!StartsWith(name, "MANIFEST-")) return false;
  std::string text;
  const std::string current = path.substr(0, path.size() - name.size()) + "CURRENT";
  IOStatus status = rocksdb::ReadFileToString(target(), current, &text);
  if (status.IsPathNotFound() || status.IsNotFound()) return false;
  return !status.ok() || text == name + "\n";
}

IOStatus RecordedFileSystem::DeleteFile(const std::string& path, const IOOptions& options, IODebugContext* dbg) {
  return KeptBack(path) ? IOStatus::OK() : DeleteNow(path, options, dbg);
}

bool RecordedFileSystem::KeptBack(const std::string& path) {
  if (!recorded_.Has(path)) return false;
  std::lock_guard<std::mutex> lock(held_mutex_);
  if (holds_ == 0) return false;
  held_.insert(path);
  return true;
}

// It exists anew.
void RecordedFileSystem::NotDeleted(const std::string& path) {
  std::lock_guard<std::mutex> lock(held_mutex_);
  held_.erase(path);
}

void RecordedFileSystem::Hold() {
  std::lock_guard<std::mutex> lock(held_mutex_);
  holds_++;
}

void RecordedFileSystem::Release() {
  std::set<std::string> released;
  {
    std::lock_guard<std::mutex> lock(held_mutex_);
    if (holds_ == 0 || --holds_ > 0) return;
    released.swap(held_);
  }
  // One that cannot be deleted now goes when the store is opened next, as with RocksDB's own deletions.
  for (const std::string& path : released) DeleteNow(path, IOOptions(), nullptr).PermitUncheckedError();
}

IOStatus RecordedFileSystem::DeleteNow(const std::string& path, const IOOptions& options, IODebugContext* dbg) {
  std::string name = NameOf(path);
  if (!IsElsewhere(path) && IsCurrent(path, name)) return IOStatus::Busy("CURRENT names this file", path);
  IOStatus status;
  if (recorded_.Has(path)) status = Report(RV_FILE_DELETED, name, std::string(), Slice(), 0, 0);
  return status.ok() ? target()->DeleteFile(path, options, dbg) : status;
}

IOStatus RecordedFileSystem::RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                                        IODebugContext* dbg) {
  const bool leaves = recorded_.Has(from) && IsElsewhere(to);
  IOStatus status;
  if (leaves) status = Report(RV_FILE_DELETED, NameOf(from), std::string(), Slice(), 0, 0);
  if (status.ok()) status = target()->RenameFile(from, to, options, dbg);
  if (status.ok()) NotDeleted(to);
  if (!status.ok() || leaves) return status;
  if (recorded_.Has(from)) return Report(RV_FILE_RENAMED, NameOf(from), NameOf(to), Slice(), 0, 0);
  return Adopt(to);
}

IOStatus RecordedFileSystem::LinkFile(const std::string& from, const std::string& to, const IOOptions& options,
                                      IODebugContext* dbg) {
  IOStatus status = target()->LinkFile(from, to, options, dbg);
  if (!status.ok()) return status;
  if (!recorded_.Has(from)) return Adopt(to);
  return IsElsewhere(to) ? status : Report(RV_FILE_LINKED, NameOf(from), NameOf(to), Slice(), 0, 0);
}

// A whole file came from elsewhere: an ingested table.
IOStatus RecordedFileSystem::Adopt(const std::string& path) {
  if (!recorded_.whole_directory() || !recorded_.Has(path)) return IOStatus::OK();
  return Report(RV_FILE_ADOPTED, NameOf(path), std::string(), Slice(), 0, 0);
}

IOStatus RecordedFileSystem::Truncate(const std::string& path, size_t size, const IOOptions& options,
                                      IODebugContext* dbg) {
  IOStatus status;
  if (recorded_.Has(path)) status = Report(RV_FILE_TRUNCATED, NameOf(path), std::string(), Slice(), size, 0);
  return status.ok() ? target()->Truncate(path, size, options, dbg) : status;
}

IOStatus RecordedFileSystem::LockFile(const std::string& path, const IOOptions& options, rocksdb::FileLock** lock,
                                      IODebugContext* dbg) {
  IOStatus status = target()->LockFile(path, options, lock, dbg);
  if (status.ok() && !recorded_.whole_directory()) AsPrivateAsItsDirectory(path);
  return status;
}

IOStatus RecordedFileSystem::GetFileSize(const std::string& path, const IOOptions& options, uint64_t* size,
                                         IODebugContext* dbg) {
  Pinned pinned;
  if (!FindPinned(path, &pinned)) return target()->GetFileSize(path, options, size, dbg);
  *size = pinned.size;
  return IOStatus::OK();
}

IOStatus RecordedFileSystem::Pin(const std::string& path, uint64_t* size) {
  std::unique_ptr<rocksdb::FSRandomAccessFile> file;
  IOStatus status = target()->NewRandomAccessFile(path, FileOptions(), &file, nullptr);
  if (status.ok()) status = target()->GetFileSize(path, IOOptions(), size, nullptr);
  if (!status.ok()) return status;
  std::lock_guard<std::mutex> lock(pinned_mutex_);
  pinned_[NameOf(path)] = {std::move(file), *size};
  any_pinned_ = true;
  return status;
}

bool RecordedFileSystem::FindPinned(const std::string& path, Pinned* found) {
  if (!any_pinned_) return false;
  std::lock_guard<std::mutex> lock(pinned_mutex_);
  auto entry = pinned_.find(NameOf(path));
  if (entry == pinned_.end()) return false;
  *found = entry->second;
  return true;
}

}  // namespace recovery

extern "C" {

rv_files* rv_files_create(rv_file_callback callback, void* context, int32_t faults) {
  return recovery::GuardOr<rv_files*>(nullptr, [&] {
    return new rv_files{std::make_shared<recovery::RecordedFileSystem>(callback, context, faults != 0), nullptr};
  });
}

rv_files* rv_files_of(const char* directory, rv_file_callback callback, void* context, int32_t faults) {
  return recovery::GuardOr<rv_files*>(nullptr, [&] {
    auto files = std::make_unique<rv_files>();
    files->system =
        std::make_shared<recovery::RecordedFileSystem>(callback, context, faults != 0, recovery::Recorded(directory));
    files->env = rocksdb::NewCompositeEnv(files->system);
    return files.release();
  });
}

void rv_files_hold(rv_files* files, int32_t hold) {
  recovery::GuardOr(0, [&] {
    if (hold != 0)
      files->system->Hold();
    else
      files->system->Release();
    return 0;
  });
}

void rv_files_free(rv_files* files) { delete files; }

void rv_files_fault(rv_files* files, int32_t operations, const char* suffix, int64_t skip, int64_t times,
                    int32_t error) {
  recovery::GuardOr(0, [&] {
    files->system->faults().Add(operations, suffix, skip, times, error);
    return 0;
  });
}

void rv_files_heal(rv_files* files) {
  recovery::GuardOr(0, [&] {
    files->system->faults().Clear();
    return 0;
  });
}

}  // extern "C"
