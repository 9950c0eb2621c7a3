#include "recorded_file.h"

#include <utility>

#include "crc32c.h"
#include "recorded_files.h"

namespace recovery {

namespace {

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

}  // namespace

std::unique_ptr<rocksdb::FSWritableFile> Recording(std::unique_ptr<rocksdb::FSWritableFile>&& file,
                                                   RecordedFileSystem* system, const std::string& path, FileKind kind) {
  return std::make_unique<RecordedWritableFile>(std::move(file), system, path, kind);
}

}  // namespace recovery
