#include "recorded_names.h"

#include <utility>

namespace recovery {

std::string NameOf(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

namespace {

// "digits" and then the end; nothing else.
bool IsNumbered(const std::string& name, const char* start, const char* end) {
  const std::string ending(end);
  if (!StartsWith(name, start) || !EndsWith(name, ending)) return false;
  const size_t first = std::char_traits<char>::length(start);
  if (name.size() <= first + ending.size()) return false;
  for (size_t i = first; i < name.size() - ending.size(); i++)
    if (name[i] < '0' || name[i] > '9') return false;
  return true;
}

// src/RecoveryLog/Records/TrackedName.cs has the same names.
FileKind KindInDirectory(const std::string& name) {
  if (IsNumbered(name, "", ".sst") || IsNumbered(name, "", ".blob")) return FileKind::kLarge;
  const bool is_small = name == "CURRENT" || name == "IDENTITY" || IsNumbered(name, "", ".log") ||
                        IsNumbered(name, "MANIFEST-", "") || IsNumbered(name, "OPTIONS-", "") ||
                        IsNumbered(name, "OPTIONS-", ".dbtmp") || IsNumbered(name, "", ".dbtmp");
  return is_small ? FileKind::kInline : FileKind::kIgnored;
}

std::string WithoutSlashes(std::string directory) {
  while (directory.size() > 1 && directory.back() == '/') directory.pop_back();
  return directory;
}

}  // namespace

Recorded::Recorded(std::string directory) : directory_(WithoutSlashes(std::move(directory))) {}

bool Recorded::IsDirectory(const std::string& path) const { return WithoutSlashes(path) == directory_; }

FileKind Recorded::KindOf(const std::string& path) const {
  const std::string name = NameOf(path);
  if (whole_directory()) {
    // RocksDB puts one slash or two between the directory, as it was given, and a name.
    size_t end = path.size() - name.size();
    while (end > 1 && path[end - 1] == '/') end--;
    return path.compare(0, end, directory_) == 0 ? KindInDirectory(name) : FileKind::kIgnored;
  }
  if (EndsWith(name, ".sst") || EndsWith(name, ".blob")) return FileKind::kLarge;
  // *.log is RocksDB's own write-ahead log: off, so that these files are always empty, and not missed when missing.
  if (StartsWith(name, "LOG") || name == "LOCK" || EndsWith(name, ".log")) return FileKind::kIgnored;
  return FileKind::kInline;
}

}  // namespace recovery
