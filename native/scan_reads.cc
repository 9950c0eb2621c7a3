#include "scan_reads.h"

#include <algorithm>
#include <atomic>

namespace recovery {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

namespace {

constexpr size_t kHeldMax = 128 << 10;
// Between neighbours lie the blobs of pages that were written again since.
constexpr uint64_t kGapMax = 16 << 10;

thread_local ScanReads* current = nullptr;

std::atomic<uint64_t> last_file{0};

}  // namespace

ScanReads::ScanReads(uint64_t pages) : pages_left_(pages), outer_(current) { current = this; }

ScanReads::~ScanReads() { current = outer_; }

class ScanReadFile : public rocksdb::FSRandomAccessFileOwnerWrapper {
 public:
  explicit ScanReadFile(std::unique_ptr<rocksdb::FSRandomAccessFile>&& file)
      : FSRandomAccessFileOwnerWrapper(std::move(file)), number_(++last_file) {}

  // What is returned may lie in the scan's memory instead of scratch, as it may in that of a mapped file, and stays
  // valid until the scan's next read.
  IOStatus Read(uint64_t offset, size_t n, const IOOptions& options, Slice* result, char* scratch,
                IODebugContext* dbg) const override {
    ScanReads* scan = current;
    if (scan == nullptr) return FSRandomAccessFileOwnerWrapper::Read(offset, n, options, result, scratch, dbg);
    const bool follows = scan->file_ == number_ && offset >= scan->end_ && offset - scan->end_ <= kGapMax;
    if (follows && !Holds(*scan, offset, n)) {
      const size_t wanted = std::min<uint64_t>(kHeldMax, n * scan->pages_left_);
      if (wanted >= 2 * n) Hold(scan, offset, wanted, options, dbg);
    }
    if (scan->file_ != number_) scan->held_ = 0;
    scan->file_ = number_;
    scan->end_ = offset + n;
    if (!Holds(*scan, offset, n)) {
      return FSRandomAccessFileOwnerWrapper::Read(offset, n, options, result, scratch, dbg);
    }
    *result = Slice(scan->bytes_.get() + (offset - scan->held_at_), n);
    return IOStatus::OK();
  }

 private:
  bool Holds(const ScanReads& scan, uint64_t offset, size_t n) const {
    return scan.file_ == number_ && offset >= scan.held_at_ && offset + n <= scan.held_at_ + scan.held_;
  }

  // A failure here shows when the bytes are read by themselves.
  void Hold(ScanReads* scan, uint64_t offset, size_t size, const IOOptions& options, IODebugContext* dbg) const {
    if (scan->bytes_ == nullptr) scan->bytes_.reset(new char[kHeldMax]);
    scan->held_ = 0;
    Slice got;
    IOStatus status = FSRandomAccessFileOwnerWrapper::Read(offset, size, options, &got, scan->bytes_.get(), dbg);
    if (!status.ok() || got.data() != scan->bytes_.get()) return;
    scan->held_at_ = offset;
    scan->held_ = got.size();
  }

  const uint64_t number_;
};

std::unique_ptr<rocksdb::FSRandomAccessFile> ForScans(std::unique_ptr<rocksdb::FSRandomAccessFile> file) {
  return std::make_unique<ScanReadFile>(std::move(file));
}

}  // namespace recovery
