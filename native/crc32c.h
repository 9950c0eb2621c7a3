// CRC-32C: see crc32c.cc.
#pragma once

#include <cstddef>
#include <cstdint>

namespace recovery {

// Whether the processor has an instruction for it.
bool Crc32cHasInstruction();

}  // namespace recovery

namespace rocksdb::crc32c {

// RocksDB's own, which this library replaces.
uint32_t Extend(uint32_t crc, const char* data, size_t size);

}  // namespace rocksdb::crc32c
