// A RocksDB of somebody else's, opened through RocksDB's own C interface: what it needs of us is an environment.
#include <string>

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

// What an option would have done to files behind the recorder's back, or outside of the one directory.
std::string WhyNot(const rocksdb::Options& options) {
  if (options.env != nullptr && options.env != rocksdb::Env::Default())
    return "the options have an environment already (SetEnv): a recorded RocksDB needs its own";
  if (options.allow_mmap_writes)
    return "allow_mmap_writes writes files without telling anybody, and cannot be recorded: turn it off";
  if (!options.db_paths.empty() || !options.cf_paths.empty())
    return "db_paths and cf_paths put tables into other directories, and one directory is recorded: leave them out";
  if (!options.wal_dir.empty()) return "wal_dir puts write-ahead logs into another directory: leave it out";
  return std::string();
}

}  // namespace

extern "C" {

int32_t rv_record(rv_files* files, void* options, char** error) {
  return Guard(error, [&]() -> int32_t {
    if (rocksdb::GetRocksVersionAsString(false) != "7.8")
      return Fail(RV_INVALID, "The RocksDB library is " + rocksdb::GetRocksVersionAsString() + ", not 7.8", error);
    rocksdb::Options& given = static_cast<rocksdb_options_t*>(options)->rep;
    const std::string why = WhyNot(given);
    if (!why.empty()) return Fail(RV_INVALID, why, error);
    given.env = files->env.get();
    given.listeners.push_back(std::make_shared<Exits>());
    return RV_OK;
  });
}

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
