// How a call from C# ends: with a code, and a message where it failed.
#pragma once

#include <cstdint>
#include <exception>
#include <string>

#include "at_exit.h"
#include "last_words.h"
#include "recovery_native.h"
#include "rocksdb/status.h"

namespace recovery {

// The message is to free with rv_free; nobody may want it.
int32_t Fail(int32_t code, const std::string& message, char** error);

int32_t Finish(const rocksdb::Status& status, char** error);

// With what RocksDB logged last, where the status alone may not tell why.
int32_t Finish(const rocksdb::Status& status, const LastWords& log, char** error);

// No C++ exception may cross into C#: the runtime would end the process.
template <typename Call>
int32_t Guard(char** error, Call call) {
  const Inside inside;
  if (inside.refused()) return Fail(RV_OTHER, "The process is exiting", error);
  try {
    return call();
  } catch (const std::exception& e) {
    return Fail(RV_OTHER, e.what(), error);
  } catch (...) {
    return Fail(RV_OTHER, "An exception of an unknown type", error);
  }
}

// For calls that tell no error. What a call without memory leaves undone is harmless in each of them.
template <typename Result, typename Call>
Result GuardOr(Result otherwise, Call call) {
  const Inside inside;
  if (inside.refused()) return otherwise;
  try {
    return call();
  } catch (...) {
    return otherwise;
  }
}

}  // namespace recovery
