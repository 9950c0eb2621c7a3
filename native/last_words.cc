#include "last_words.h"

#include <cstdio>

namespace recovery {

LastWords::LastWords() : Logger(rocksdb::WARN_LEVEL) {}

void LastWords::Logv(const char* format, va_list arguments) {
  char line[kLineMax];
  const int length = vsnprintf(line, sizeof(line), format, arguments);
  if (length <= 0) return;
  std::string text(line);
  if (text.find(kNoOptions) != std::string::npos) return;  // refused on purpose
  while (!text.empty() && text.back() == '\n') text.pop_back();
  for (char& c : text)
    if (c == '\n') c = ' ';
  std::lock_guard<std::mutex> lock(mutex_);
  lines_[next_++ % kLines] = std::move(text);
}

std::string LastWords::After(const std::string& message) const {
  std::lock_guard<std::mutex> lock(mutex_);
  std::string all;
  for (size_t i = 0; i < kLines; i++) {
    const std::string& line = lines_[(next_ + i) % kLines];
    if (!line.empty()) all += (all.empty() ? "" : " | ") + line;
  }
  return all.empty() ? message : message + " (RocksDB's log: " + all + ")";
}

}  // namespace recovery
