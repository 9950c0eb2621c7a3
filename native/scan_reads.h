// Pages that follow one another mostly lie next to one another in a blob file, and RocksDB reads each by a call of its
// own. While a scan runs, its thread reads such neighbours many at a time.
#pragma once

#include <cstdint>
#include <memory>

#include "rocksdb/file_system.h"

namespace recovery {

// On the stack of a scan. While it lives, reads of this thread that follow one another are done ahead, never further
// than what the scan still wants.
class ScanReads {
 public:
  explicit ScanReads(uint64_t pages);
  ~ScanReads();
  ScanReads(const ScanReads&) = delete;
  ScanReads& operator=(const ScanReads&) = delete;

  // The scan has come to its next page.
  void Advance() { pages_left_ -= pages_left_ > 0; }

 private:
  friend class ScanReadFile;
  uint64_t pages_left_;
  uint64_t file_ = 0;  // whose bytes are held; files are numbered from 1
  uint64_t end_ = 0;   // where its last read ended
  uint64_t held_at_ = 0;
  size_t held_ = 0;
  std::unique_ptr<char[]> bytes_;
  ScanReads* const outer_;
};

// A file that scans read so.
std::unique_ptr<rocksdb::FSRandomAccessFile> ForScans(std::unique_ptr<rocksdb::FSRandomAccessFile> file);

}  // namespace recovery
