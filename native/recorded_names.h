// Which files are recorded, by their names.
#pragma once

#include <string>

namespace recovery {

// How much of a file is reported.
enum class FileKind { kIgnored, kInline, kLarge };
// Of a path, what follows the last slash.
std::string NameOf(const std::string& path);

inline bool StartsWith(const std::string& text, const char* start) { return text.rfind(start, 0) == 0; }

inline bool EndsWith(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// Which files are reported: those of a page store, wherever it is, or those of a whole directory of somebody's RocksDB.
class Recorded {
 public:
  Recorded() = default;
  explicit Recorded(std::string directory);

  FileKind KindOf(const std::string& path) const;
  bool Has(const std::string& path) const { return KindOf(path) != FileKind::kIgnored; }
  bool whole_directory() const { return !directory_.empty(); }
  const std::string& directory() const { return directory_; }
  bool IsDirectory(const std::string& path) const;  // that one, by the same name

 private:
  std::string directory_;
};

}  // namespace recovery
