#include "faults.h"

#include <utility>

namespace recovery {

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

namespace {

class FaultyRandomAccessFile : public rocksdb::FSRandomAccessFileOwnerWrapper {
 public:
  FaultyRandomAccessFile(std::unique_ptr<rocksdb::FSRandomAccessFile>&& file, Faults* faults, std::string path)
      : FSRandomAccessFileOwnerWrapper(std::move(file)), faults_(faults), path_(std::move(path)) {}

  IOStatus Read(uint64_t offset, size_t n, const rocksdb::IOOptions& options, rocksdb::Slice* result, char* scratch,
                rocksdb::IODebugContext* dbg) const override {
    IOStatus status = faults_->Check(RV_FAULT_READ, path_);
    return status.ok() ? FSRandomAccessFileOwnerWrapper::Read(offset, n, options, result, scratch, dbg) : status;
  }

  IOStatus MultiRead(rocksdb::FSReadRequest* requests, size_t count, const rocksdb::IOOptions& options,
                     rocksdb::IODebugContext* dbg) override {
    IOStatus status = faults_->Check(RV_FAULT_READ, path_);
    return status.ok() ? FSRandomAccessFileOwnerWrapper::MultiRead(requests, count, options, dbg) : status;
  }

 private:
  Faults* const faults_;
  const std::string path_;
};

}  // namespace

std::unique_ptr<rocksdb::FSRandomAccessFile> WithFaults(std::unique_ptr<rocksdb::FSRandomAccessFile>&& file,
                                                        Faults* faults, std::string path) {
  return std::make_unique<FaultyRandomAccessFile>(std::move(file), faults, std::move(path));
}

}  // namespace recovery
