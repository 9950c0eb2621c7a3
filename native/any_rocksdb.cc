// A RocksDB of somebody else's, opened through RocksDB's own C interface: what it needs of us is an environment.
#include <memory>
#include <string>
#include <utility>

#include "at_exit.h"
#include "calls.h"
#include "listener.h"
#include "recorded_files.h"
#include "rocksdb/convenience.h"
#include "rocksdb/options.h"

using recovery::Fail;
using recovery::Guard;
using recovery::GuardOr;

// As RocksDB 7.8's db/c.cc lays them out; see the assertion in recorded_files.h.
struct rocksdb_options_t {
  rocksdb::Options rep;
};
struct rocksdb_t {
  rocksdb::DB* rep;
};

namespace {

// RocksDB makes static objects at its first flush and compaction, which must not be destroyed before it has stopped.
class Exits : public rocksdb::EventListener {
 public:
  void OnFlushCompleted(rocksdb::DB*, const rocksdb::FlushJobInfo&) override { recovery::StopBeforeWhatTheFlushMade(); }
  void OnCompactionCompleted(rocksdb::DB*, const rocksdb::CompactionJobInfo&) override {
    recovery::StopBeforeWhatTheCompactionMade();
  }
};

constexpr char kOtherDirectories[] =
    "db_paths and cf_paths put tables into other directories, and one directory is recorded: leave them out";

// What a listener hears of before it happens, and cannot refuse: a column family that came later has paths of its own.
class TablesElsewhere : public rocksdb::EventListener {
 public:
  explicit TablesElsewhere(std::shared_ptr<recovery::RecordedFileSystem> system) : system_(std::move(system)) {}
  void OnTableFileCreationStarted(const rocksdb::TableFileCreationBriefInfo& info) override { Look(info.file_path); }
  void OnBlobFileCreationStarted(const rocksdb::BlobFileCreationBriefInfo& info) override { Look(info.file_path); }

 private:
  void Look(const std::string& path) {
    if (!system_->recorded().Has(path)) system_->Forbid(path);
  }

  const std::shared_ptr<recovery::RecordedFileSystem> system_;
};

// What an option would have done to files behind the recorder's back, or outside of the one directory.
std::string WhyNot(const rv_files& files, const rocksdb::DBOptions& options) {
  if (options.env != nullptr && options.env != rocksdb::Env::Default() && options.env != files.env.get())
    return "the options have an environment already (SetEnv): a recorded RocksDB needs its own";
  if (options.allow_mmap_writes)
    return "allow_mmap_writes writes files without telling anybody, and cannot be recorded: turn it off";
  for (const rocksdb::DbPath& place : options.db_paths)
    if (!files.system->recorded().IsDirectory(place.path)) return kOtherDirectories;
  if (!options.wal_dir.empty() && !files.system->recorded().IsDirectory(options.wal_dir))
    return "wal_dir puts write-ahead logs into another directory: leave it out";
  return std::string();
}

int32_t MayRecord(rv_files* files, const rocksdb::ColumnFamilyOptions& given, char** error) {
  for (const rocksdb::DbPath& place : given.cf_paths)
    if (!files->system->recorded().IsDirectory(place.path)) return Fail(RV_INVALID, kOtherDirectories, error);
  return RV_OK;
}

int32_t Record(rv_files* files, rocksdb::DBOptions& given, char** error) {
  if (rocksdb::GetRocksVersionAsString(false) != "7.8")
    return Fail(RV_INVALID, "The RocksDB library is " + rocksdb::GetRocksVersionAsString() + ", not 7.8", error);
  const std::string why = WhyNot(*files, given);
  if (!why.empty()) return Fail(RV_INVALID, why, error);
  given.env = files->env.get();
  given.listeners.push_back(std::make_shared<TablesElsewhere>(files->system));
  return RV_OK;
}

}  // namespace

extern "C" {

int32_t rv_record(rv_files* files, void* options, char** error) {
  return Guard(error, [&]() -> int32_t {
    rocksdb::Options& given = static_cast<rocksdb_options_t*>(options)->rep;
    int32_t code = MayRecord(files, given, error);
    if (code == RV_OK) code = Record(files, given, error);
    if (code == RV_OK) given.listeners.push_back(std::make_shared<Exits>());
    return code;
  });
}

int32_t rv_record_cpp(rv_files* files, void* options, char** error) {
  return Guard(error, [&] { return Record(files, *static_cast<rocksdb::DBOptions*>(options), error); });
}

int32_t rv_may_record_cpp(rv_files* files, const void* family_options, char** error) {
  return Guard(error, [&] {
    return MayRecord(files, *static_cast<const rocksdb::ColumnFamilyOptions*>(family_options), error);
  });
}

void rv_refuse(const char* why, int32_t is_fenced) {
  recovery::GuardOr(0, [&] {
    recovery::RefuseBecause(why, is_fenced != 0);
    return 0;
  });
}

void* rv_env(rv_files* files) { return files->env.get(); }

int32_t rv_is_locked(rv_files* files) { return files->system->locks() > 0 ? 1 : 0; }

int32_t rv_has_default_env(void* env) { return env == rocksdb::Env::Default() ? 1 : 0; }

void rv_recorded_open(void* database) {
  GuardOr(0, [&] {
    recovery::StopAtExit(static_cast<rocksdb_t*>(database)->rep);
    return 0;
  });
}

void rv_recorded_close(void* database) {
  GuardOr(0, [&] {
    recovery::Forget(static_cast<rocksdb_t*>(database)->rep);
    return 0;
  });
}

const char* rv_rocksdb_version(void) {
  static const std::string* const version = new std::string(rocksdb::GetRocksVersionAsString(true));
  return version->c_str();
}

}  // extern "C"
