// CRC-32C by the processor's instruction, in the place of RocksDB's own.
//
// Distributions build RocksDB for processors without that instruction, and then a third of the time of a page read is
// its checksum. RocksDB calls this function by name through its procedure linkage table, and a library that is loaded
// together with it and stands before it in the search order, as this one does, can provide it: ordinary symbol
// interposition. Where that does not happen (another library has loaded RocksDB already), RocksDB uses its own, which
// computes the same.
#include "crc32c.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // Castagnoli, reflected

constexpr std::array<uint32_t, 256> MakeByteTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ ((crc & 1) != 0 ? kPolynomial : 0);
    table[byte] = crc;
  }
  return table;
}

constexpr std::array<uint32_t, 256> kByteTable = MakeByteTable();

constexpr uint32_t Bytewise(uint32_t crc, const char* data, size_t size) {
  for (size_t i = 0; i < size; i++) crc = kByteTable[(crc ^ static_cast<uint8_t>(data[i])) & 0xff] ^ crc >> 8;
  return crc;
}

// The instructions for eight bytes and for one.
#if defined(__x86_64__)
#define WITH_INSTRUCTION __attribute__((target("sse4.2")))
WITH_INSTRUCTION inline uint64_t Eight(uint64_t crc, uint64_t word) { return __builtin_ia32_crc32di(crc, word); }
WITH_INSTRUCTION inline uint32_t One(uint32_t crc, uint8_t byte) { return __builtin_ia32_crc32qi(crc, byte); }
#elif defined(__aarch64__)
#define WITH_INSTRUCTION __attribute__((target("+crc")))
WITH_INSTRUCTION inline uint64_t Eight(uint64_t crc, uint64_t word) {
  return __builtin_aarch64_crc32cx(static_cast<uint32_t>(crc), word);
}
WITH_INSTRUCTION inline uint32_t One(uint32_t crc, uint8_t byte) { return __builtin_aarch64_crc32cb(crc, byte); }
#endif

#if defined(WITH_INSTRUCTION)

// The instruction takes three cycles, but one can start every cycle: long inputs run in three lanes.
constexpr size_t kLaneBytes = 256;

// What a register becomes when kLaneBytes zero bytes follow, by each of its four bytes.
constexpr std::array<std::array<uint32_t, 256>, 4> MakeLaneShift() {
  std::array<uint32_t, 32> bits{};
  for (int bit = 0; bit < 32; bit++) {
    uint32_t crc = uint32_t{1} << bit;
    for (size_t i = 0; i < kLaneBytes; i++) crc = kByteTable[crc & 0xff] ^ crc >> 8;
    bits[bit] = crc;
  }
  std::array<std::array<uint32_t, 256>, 4> shift{};
  for (int byte = 0; byte < 4; byte++)
    for (uint32_t value = 0; value < 256; value++)
      for (int bit = 0; bit < 8; bit++)
        if ((value >> bit & 1) != 0) shift[byte][value] ^= bits[8 * byte + bit];
  return shift;
}

constexpr std::array<std::array<uint32_t, 256>, 4> kLaneShift = MakeLaneShift();

uint32_t Shift(uint64_t crc) {
  return kLaneShift[0][crc & 0xff] ^ kLaneShift[1][crc >> 8 & 0xff] ^ kLaneShift[2][crc >> 16 & 0xff] ^
         kLaneShift[3][crc >> 24 & 0xff];
}

uint64_t Word(const char* data) {
  uint64_t word;
  memcpy(&word, data, sizeof(word));
  return word;
}

WITH_INSTRUCTION uint32_t Hardware(uint32_t start, const char* data, size_t size) {
  uint64_t a = start;
  for (; size >= 3 * kLaneBytes; size -= 3 * kLaneBytes, data += 3 * kLaneBytes) {
    uint64_t b = 0, c = 0;
    for (size_t i = 0; i < kLaneBytes; i += 8) {
      a = Eight(a, Word(data + i));
      b = Eight(b, Word(data + kLaneBytes + i));
      c = Eight(c, Word(data + 2 * kLaneBytes + i));
    }
    a = Shift(Shift(a) ^ b) ^ c;
  }
  for (; size >= 8; size -= 8, data += 8) a = Eight(a, Word(data));
  for (; size > 0; size--, data++) a = One(static_cast<uint32_t>(a), static_cast<uint8_t>(*data));
  return static_cast<uint32_t>(a);
}

#endif

}  // namespace

// Asks the processor itself: where this library is run as a program (see trial.cc), nobody has run its constructors,
// and what they find out about the processor would all be "no".
bool recovery::Crc32cHasInstruction() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  return __builtin_cpu_supports("sse4.2") != 0;
#elif defined(__aarch64__)
  return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
#else
  return false;
#endif
}

namespace rocksdb::crc32c {

__attribute__((visibility("default"))) uint32_t Extend(uint32_t crc, const char* data, size_t size) {
#if defined(WITH_INSTRUCTION)
  static const bool has_instruction = recovery::Crc32cHasInstruction();
  if (has_instruction) return ~Hardware(~crc, data, size);
#endif
  return ~Bytewise(~crc, data, size);
}

}  // namespace rocksdb::crc32c
