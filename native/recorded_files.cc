#include "recorded_files.h"

#include <sys/stat.h>

#include <utility>
#include <vector>

#include "crc32c.h"
#include "recorded_file.h"
#include "scan_reads.h"

namespace recovery {

namespace {

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

struct Refusal {
  std::string why;
  bool is_fenced = false;
};
thread_local Refusal refusal;

// The recorder's own words, once.
IOStatus TakeRefusal(const std::string& name) {
  const Refusal taken = std::move(refusal);
  refusal = Refusal();
  const std::string message = "The recorder refused a change of " + name + (taken.why.empty() ? "" : ": " + taken.why);
  return taken.is_fenced ? IOStatus::IOFenced(message) : IOStatus::IOError(message);
}

}  // namespace

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
  return refused == 0 ? IOStatus::OK() : TakeRefusal(name);
}

void RefuseBecause(const char* why, bool is_fenced) { refusal = {why, is_fenced}; }

IOStatus RecordedFileSystem::NewWritableFile(const std::string& path, const FileOptions& options,
                                             std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext* dbg) {
  const FileKind kind = recorded_.KindOf(path);
  IOStatus status = MayWrite(path, kind, options);
  if (status.ok()) status = faults_.Check(RV_FAULT_OPEN, path);
  std::unique_ptr<rocksdb::FSWritableFile> file;
  if (status.ok()) status = target()->NewWritableFile(path, options, &file, dbg);
  if (!status.ok()) return status;
  NotDeleted(path);
  if (kind == FileKind::kIgnored && recorded_.whole_directory()) {
    *result = std::move(file);  // somebody else's: a checkpoint, a backup, a log for people
    return status;
  }
  AsPrivateAsItsDirectory(path);
  if (kind != FileKind::kIgnored) status = Report(RV_FILE_CREATED, NameOf(path), std::string(), Slice(), 0, 0);
  if (!status.ok()) return status;
  *result = Recording(std::move(file), this, path, kind);
  return status;
}

void RecordedFileSystem::Forbid(const std::string& path) {
  std::lock_guard<std::mutex> lock(forbidden_mutex_);
  forbidden_.insert(path);
  any_forbidden_ = true;
}

// What Record does not see, it having been given other options than the RocksDB.
IOStatus RecordedFileSystem::MayWrite(const std::string& path, FileKind kind, const FileOptions& options) {
  if (kind != FileKind::kIgnored && recorded_.whole_directory() && options.use_mmap_writes)
    return IOStatus::NotSupported("allow_mmap_writes writes files without telling anybody: turn it off", path);
  if (!any_forbidden_) return IOStatus::OK();
  std::lock_guard<std::mutex> lock(forbidden_mutex_);
  if (forbidden_.erase(path) == 0) return IOStatus::OK();
  return IOStatus::NotSupported("a table in another directory is not recorded: leave out db_paths and cf_paths", path);
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
    if (wrap_reads_) *result = WithFaults(std::move(*result), &faults_, path);
  }
  *result = absent_.Gated(std::move(*result), path);
  if (EndsWith(path, ".blob") && !recorded_.whole_directory()) *result = ForScans(std::move(*result));
  return IOStatus::OK();
}

IOStatus RecordedFileSystem::NewSequentialFile(const std::string& path, const FileOptions& options,
                                               std::unique_ptr<rocksdb::FSSequentialFile>* result,
                                               IODebugContext* dbg) {
  IOStatus status = faults_.Check(RV_FAULT_OPEN, path);
  // Nobody reads a table or a blob file so but to measure it.
  if (absent_.Has(NameOf(path))) return IOStatus::NotSupported("not all of this file is here", path);
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

// A RocksDB opens. Files are known by their directory's name, as it was given; under another name for it, or elsewhere,
// nothing would be recorded.
IOStatus RecordedFileSystem::MayLock(const std::string& path) const {
  if (!recorded_.whole_directory() || recorded_.IsDirectory(path.substr(0, path.find_last_of('/'))))
    return IOStatus::OK();
  return IOStatus::InvalidArgument("This environment records " + recorded_.directory() +
                                       ". A RocksDB is opened in it by exactly that name; one " +
                                       "in another directory has an environment of its own",
                                   path);
}

IOStatus RecordedFileSystem::LockFile(const std::string& path, const IOOptions& options, rocksdb::FileLock** lock,
                                      IODebugContext* dbg) {
  IOStatus status = MayLock(path);
  if (status.ok()) status = target()->LockFile(path, options, lock, dbg);
  if (!status.ok()) return status;
  if (recorded_.whole_directory())
    locks_++;
  else
    AsPrivateAsItsDirectory(path);
  return status;
}

IOStatus RecordedFileSystem::UnlockFile(rocksdb::FileLock* lock, const IOOptions& options, IODebugContext* dbg) {
  if (recorded_.whole_directory()) locks_--;
  return target()->UnlockFile(lock, options, dbg);
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
