// One file of RocksDB's while it is written.
#pragma once

#include <memory>
#include <string>

#include "recorded_names.h"
#include "rocksdb/file_system.h"

namespace recovery {

class RecordedFileSystem;

// Reports what is written to the file, and that it is whole. The file system outlives it.
std::unique_ptr<rocksdb::FSWritableFile> Recording(std::unique_ptr<rocksdb::FSWritableFile>&& file,
                                                   RecordedFileSystem* system, const std::string& path, FileKind kind);

}  // namespace recovery
