#include "frozen_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <thread>

namespace recovery {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

namespace {

constexpr int kTriesMax = 5000;

std::string NameIn(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::vector<std::string> NamesIn(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(directory, failed))
    names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

std::string TextOf(const std::string& path) {
  char text[256];
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return std::string();
  const ssize_t got = read(file, text, sizeof(text));
  close(file);
  return got > 0 ? std::string(text, static_cast<size_t>(got)) : std::string();
}

std::string SizeOf(const std::string& path) {
  struct stat found;
  return stat(path.c_str(), &found) == 0 ? std::to_string(found.st_size) : "none";
}

// What changes when tables, blob files or write-ahead logs come, are complete, or go.
std::string MomentOf(const std::string& directory) {
  std::string current = TextOf(directory + "/CURRENT");
  while (!current.empty() && current.back() == '\n') current.pop_back();
  std::string moment = current + " " + SizeOf(directory + "/" + current);
  std::string newest;
  for (const std::string& name : NamesIn(directory)) {
    if (std::filesystem::path(name).extension() != ".log") continue;
    if (!newest.empty()) moment += " " + newest + " " + SizeOf(directory + "/" + newest);
    newest = name;
  }
  return moment + " " + newest;
}

IOStatus ReadAt(int file, uint64_t size, uint64_t offset, size_t length, Slice* result, char* scratch) {
  length = offset >= size ? 0 : static_cast<size_t>(std::min<uint64_t>(length, size - offset));
  size_t done = 0;
  while (done < length) {
    const ssize_t got = pread(file, scratch + done, length - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return IOStatus::IOError("pread", strerror(errno));
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  *result = Slice(scratch, done);
  return IOStatus::OK();
}

class FrozenSequential : public rocksdb::FSSequentialFile {
 public:
  FrozenSequential(std::shared_ptr<const int> file, uint64_t size) : file_(std::move(file)), size_(size) {}

  IOStatus Read(size_t length, const IOOptions&, Slice* result, char* scratch, IODebugContext*) override {
    IOStatus status = ReadAt(*file_, size_, at_, length, result, scratch);
    if (status.ok()) at_ += result->size();
    return status;
  }

  IOStatus Skip(uint64_t length) override {
    at_ += length;
    return IOStatus::OK();
  }

 private:
  const std::shared_ptr<const int> file_;
  const uint64_t size_;
  uint64_t at_ = 0;
};

class FrozenRandomAccess : public rocksdb::FSRandomAccessFile {
 public:
  FrozenRandomAccess(std::shared_ptr<const int> file, uint64_t size) : file_(std::move(file)), size_(size) {}

  IOStatus Read(uint64_t offset, size_t length, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) const override {
    return ReadAt(*file_, size_, offset, length, result, scratch);
  }

 private:
  const std::shared_ptr<const int> file_;
  const uint64_t size_;
};

}  // namespace

FrozenFiles::FrozenFiles(const std::shared_ptr<rocksdb::FileSystem>& files, const std::string& directory)
    : FileSystemWrapper(files), directory_(directory) {}

rocksdb::Status FrozenFiles::Freeze() {
  for (int tries = 0; tries < kTriesMax; tries++) {
    const std::string moment = MomentOf(directory_);
    const bool all = HoldAll();
    if (all && moment == MomentOf(directory_)) return rocksdb::Status::OK();
    std::this_thread::yield();
  }
  return rocksdb::Status::Busy("Its files change too fast to be read as they are at one moment", directory_);
}

// False when one that was listed was gone already.
bool FrozenFiles::HoldAll() {
  held_.clear();
  for (const std::string& name : NamesIn(directory_)) {
    if (name == "LOCK" || name.rfind("LOG", 0) == 0) continue;
    const int file = open((directory_ + "/" + name).c_str(), O_RDONLY | O_CLOEXEC);
    struct stat found;
    if (file < 0 && errno == ENOENT) return false;
    // What may not be read is not missed before RocksDB asks for it.
    if (file < 0) continue;
    const std::shared_ptr<const int> held(new int(file), [](const int* closed) {
      close(*closed);
      delete closed;
    });
    if (fstat(file, &found) == 0 && S_ISREG(found.st_mode)) held_[name] = {held, static_cast<uint64_t>(found.st_size)};
  }
  return true;
}

bool FrozenFiles::IsInside(const std::string& path) const {
  return path.size() > directory_.size() && path.rfind(directory_ + "/", 0) == 0;
}

const FrozenFiles::Held* FrozenFiles::Find(const std::string& path) const {
  const auto found = IsInside(path) ? held_.find(NameIn(path)) : held_.end();
  return found == held_.end() ? nullptr : &found->second;
}

IOStatus FrozenFiles::NewSequentialFile(const std::string& path, const FileOptions&,
                                        std::unique_ptr<rocksdb::FSSequentialFile>* result, IODebugContext*) {
  const Held* held = Find(path);
  if (held == nullptr) return IOStatus::PathNotFound("It is not there", path);
  result->reset(new FrozenSequential(held->file, held->size));
  return IOStatus::OK();
}

IOStatus FrozenFiles::NewRandomAccessFile(const std::string& path, const FileOptions&,
                                          std::unique_ptr<rocksdb::FSRandomAccessFile>* result, IODebugContext*) {
  const Held* held = Find(path);
  if (held == nullptr) return IOStatus::PathNotFound("It is not there", path);
  result->reset(new FrozenRandomAccess(held->file, held->size));
  return IOStatus::OK();
}

IOStatus FrozenFiles::GetFileSize(const std::string& path, const IOOptions&, uint64_t* size, IODebugContext*) {
  const Held* held = Find(path);
  if (held == nullptr) return IOStatus::PathNotFound("It is not there", path);
  *size = held->size;
  return IOStatus::OK();
}

IOStatus FrozenFiles::FileExists(const std::string& path, const IOOptions& options, IODebugContext* dbg) {
  if (!IsInside(path)) return target()->FileExists(path, options, dbg);
  return Find(path) != nullptr ? IOStatus::OK() : IOStatus::NotFound("It is not there", path);
}

IOStatus FrozenFiles::GetChildren(const std::string& path, const IOOptions& options, std::vector<std::string>* names,
                                  IODebugContext* dbg) {
  if (path != directory_ && path != directory_ + "/") return target()->GetChildren(path, options, names, dbg);
  names->clear();
  for (const auto& held : held_) names->push_back(held.first);
  return IOStatus::OK();
}

}  // namespace recovery
