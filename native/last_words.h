// RocksDB's info log, kept in memory.
#pragma once

#include <array>
#include <cstdarg>
#include <mutex>
#include <string>

#include "rocksdb/env.h"

namespace recovery {

// Keeps the newest warnings and errors, for the messages of calls that fail. Never a file: RocksDB's own log, once it
// could not be written because the disk was full, ends the process at its next line (WritableFileWriter asserts that
// nothing is written after an error).
class LastWords : public rocksdb::Logger {
 public:
  LastWords();

  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list arguments) override;

  // The kept lines, oldest first, as an addition to a message; empty when there are none.
  std::string After(const std::string& message) const;

 private:
  // The options file, which RocksDB is not given (QuietOpening).
  static constexpr const char* kNoOptions = "persist options";
  static constexpr size_t kLines = 3;
  static constexpr size_t kLineMax = 300;

  mutable std::mutex mutex_;
  std::array<std::string, kLines> lines_;
  size_t next_ = 0;
};

}  // namespace recovery
