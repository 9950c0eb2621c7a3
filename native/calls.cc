#include "calls.h"

#include <cstring>

namespace recovery {

using rocksdb::Status;

namespace {

int32_t CodeOf(const Status& status, const std::string& message) {
  auto says = [&](const char* text) { return message.find(text) != std::string::npos; };
  if (status.IsCorruption()) return RV_CORRUPT;
  if (status.IsNoSpace()) return RV_NO_SPACE;
  if (status.IsBusy() || says("While lock file") || says("lock hold by current process")) return RV_BUSY;
  if (status.IsManualCompactionPaused()) return RV_CANCELED;
  if (status.IsInvalidArgument() || status.IsNotSupported()) return says("read only") ? RV_READ_ONLY : RV_INVALID;
  if (status.IsPathNotFound()) return RV_MISSING_FILE;
  if (says("Too many open files") || says("Permission denied")) return RV_OPEN_FILES;
  if (says("Read-only file system")) return RV_READ_ONLY;
  return status.IsIOError() ? RV_IO : RV_OTHER;
}

}  // namespace

int32_t Fail(int32_t code, const std::string& message, char** error) {
  if (error != nullptr) *error = strdup(message.c_str());
  return code;
}

int32_t Finish(const Status& status, char** error) {
  if (status.ok()) return RV_OK;
  std::string message = status.ToString();
  return Fail(CodeOf(status, message), message, error);
}

int32_t Finish(const Status& status, const LastWords& log, char** error) {
  if (status.ok()) return RV_OK;
  std::string message = status.ToString();
  const int32_t code = CodeOf(status, message);
  const bool says_all = code == RV_NO_SPACE || code == RV_BUSY || code == RV_CANCELED;
  return Fail(code, says_all ? message : log.After(message), error);
}

}  // namespace recovery
