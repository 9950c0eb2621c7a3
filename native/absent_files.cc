#include "absent_files.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "calls.h"
#include "recorded_files.h"

namespace recovery {

using rocksdb::FSReadRequest;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

// Its descriptor was opened while bytes were missing, and is read when they are all there: a file is filled in place.
class GatedRandomAccessFile : public rocksdb::FSRandomAccessFileOwnerWrapper {
 public:
  GatedRandomAccessFile(std::unique_ptr<rocksdb::FSRandomAccessFile>&& file, const AbsentFiles* files, std::string name,
                        uint64_t size, std::shared_ptr<std::atomic<bool>> absent)
      : FSRandomAccessFileOwnerWrapper(std::move(file)),
        files_(files),
        name_(std::move(name)),
        size_(size),
        absent_(std::move(absent)) {}

  IOStatus Read(uint64_t offset, size_t n, const IOOptions& options, Slice* result, char* scratch,
                IODebugContext* dbg) const override {
    return IsAbsent() ? files_->Read(name_, offset, n, result, scratch)
                      : FSRandomAccessFileOwnerWrapper::Read(offset, n, options, result, scratch, dbg);
  }

  IOStatus MultiRead(FSReadRequest* requests, size_t count, const IOOptions& options, IODebugContext* dbg) override {
    if (!IsAbsent()) return FSRandomAccessFileOwnerWrapper::MultiRead(requests, count, options, dbg);
    for (FSReadRequest* request = requests; request != requests + count; request++)
      request->status = files_->Read(name_, request->offset, request->len, &request->result, request->scratch);
    return IOStatus::OK();
  }

  IOStatus ReadAsync(FSReadRequest& request, const IOOptions& options,
                     std::function<void(const FSReadRequest&, void*)> done, void* argument, void** handle,
                     rocksdb::IOHandleDeleter* deleter, IODebugContext* dbg) override {
    return IsAbsent()
               ? FSRandomAccessFile::ReadAsync(request, options, done, argument, handle, deleter, dbg)
               : FSRandomAccessFileOwnerWrapper::ReadAsync(request, options, done, argument, handle, deleter, dbg);
  }

  // The system has nothing to read ahead. RocksDB then reads what it wants in one piece. But of a table that is opened,
  // it would take half a megabyte, where the index and the filter are a tenth of that.
  IOStatus Prefetch(uint64_t offset, size_t n, const IOOptions& options, IODebugContext* dbg) override {
    if (!IsAbsent()) return FSRandomAccessFileOwnerWrapper::Prefetch(offset, n, options, dbg);
    if (offset + n < size_) return IOStatus::NotSupported("prefetch of a file that is not here", name_);
    const size_t tail = static_cast<size_t>(std::min(size_, uint64_t{kTailBytes}));
    std::string ignored(tail, 0);
    Slice read;
    return files_->Read(name_, size_ - tail, tail, &read, ignored.data());
  }

 private:
  static constexpr size_t kTailBytes = 96 << 10;

  bool IsAbsent() const { return absent_->load(std::memory_order_acquire); }

  const AbsentFiles* const files_;  // the file system's, which outlives all its files
  const std::string name_;
  const uint64_t size_;
  const std::shared_ptr<std::atomic<bool>> absent_;
};

void AbsentFiles::Use(rv_read_callback callback, void* context) {
  callback_ = callback;
  context_ = context;
}

void AbsentFiles::Set(const std::string& name, bool absent) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (absent) {
    std::shared_ptr<Flag>& flag = flags_[name];
    if (flag == nullptr) flag = std::make_shared<Flag>();
    *flag = true;
    any_ = true;
    return;
  }
  const auto found = flags_.find(name);
  if (found == flags_.end()) return;
  found->second->store(false, std::memory_order_release);
  flags_.erase(found);
  any_ = !flags_.empty();
}

std::shared_ptr<AbsentFiles::Flag> AbsentFiles::Find(const std::string& name) {
  if (!any_) return nullptr;
  std::lock_guard<std::mutex> lock(mutex_);
  const auto found = flags_.find(name);
  return found == flags_.end() ? nullptr : found->second;
}

std::unique_ptr<rocksdb::FSRandomAccessFile> AbsentFiles::Gated(std::unique_ptr<rocksdb::FSRandomAccessFile> file,
                                                                const std::string& path) {
  const std::string name = NameOf(path);
  std::shared_ptr<Flag> flag = Find(name);
  if (flag == nullptr) return file;
  uint64_t size = 0;
  if (!rocksdb::FileSystem::Default()->GetFileSize(path, IOOptions(), &size, nullptr).ok())
    size = std::numeric_limits<uint64_t>::max();
  return std::make_unique<GatedRandomAccessFile>(std::move(file), this, name, size, std::move(flag));
}

// A remote that is away comes back: RocksDB may try again by itself.
IOStatus AbsentFiles::Read(const std::string& name, uint64_t offset, size_t n, Slice* result, char* scratch) const {
  const int64_t got = callback_(context_, name.c_str(), static_cast<int64_t>(offset), static_cast<int64_t>(n),
                                reinterpret_cast<uint8_t*>(scratch));
  if (got >= 0) {
    *result = Slice(scratch, static_cast<size_t>(got));
    return IOStatus::OK();
  }
  IOStatus failed = IOStatus::IOError("Not all of " + name + " is here, and the rest could not be fetched");
  failed.SetRetryable(true);
  return failed;
}

}  // namespace recovery

extern "C" {

void rv_files_read_absent(rv_files* files, rv_read_callback callback, void* context) {
  files->system->absent().Use(callback, context);
}

void rv_file_absent(rv_files* files, const char* name, int32_t absent) {
  recovery::GuardOr(0, [&] {
    files->system->absent().Set(name, absent != 0);
    return 0;
  });
}

}  // extern "C"
