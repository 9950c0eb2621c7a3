// Any RocksDB of a C++ program, recorded: every change of its files, write-ahead logs included, goes into a recovery
// log, ships to a remote, and comes back as a directory that any RocksDB opens (`recovery restore URL DIR`).
//
//   recovery::EnvOptions recorded;
//   recorded.path = "/data/kv";                                    // as DB::Open gets it
//   auto env = recovery::OpenEnv("s3://bucket/kv", recorded);
//   rocksdb::Options options;
//   rocksdb::Status status = env->Record(&options);                // why not, if it could not be opened
//   if (status.ok()) status = rocksdb::DB::Open(options, "/data/kv", &db);
//   status = env->Sync(db);                                        // all of it can be restored from the bucket
//   delete db;                                                     // the RocksDB first,
//   status = env->Close();                                         // then its environment: ships what is left
//
// Compile with RocksDB 7.8's headers; link librecovery_rocksdb.so and RocksDB's shared library (CMake:
// find_package(RecoveryRocksDb), RecoveryRocksDb::recovery_rocksdb). A program that has RocksDB linked in statically
// would have two of them, and is refused.
//
// Threads: everything may be called from any thread, but Close and the destructor by one, when no other call is
// running. A process that was forked after OpenEnv uses nothing of it in the child.
//
// The end: a RocksDB is deleted before main returns, as RocksDB wants it; objects that are destroyed after that come
// too late. What is not closed then is left as a kill leaves it, and nothing that was synced is lost.
//
// Ownership: the environment is the RecordedEnv's, and RocksDB's as long as it is open there. So a RecordedEnv that is
// closed, or dropped, while a RocksDB is open in it stays as it is: Close says so, and the destructor leaves it behind.
//
// Errors: rocksdb::Status, with a sentence that says what happened, to what, and what to do. Nothing is thrown but by
// the standard library, for want of memory.
#ifndef RECOVERY_ROCKSDB_H
#define RECOVERY_ROCKSDB_H

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/io_status.h>
#include <rocksdb/options.h>
#include <rocksdb/status.h>
#include <rocksdb/version.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

static_assert(ROCKSDB_MAJOR == 7 && ROCKSDB_MINOR == 8, "recovery_rocksdb.h is for RocksDB 7.8");

// What the library exports; programs use what is below it. src/RocksDbEnv mirrors it.
extern "C" {
typedef struct recovery_rocksdb recovery_rocksdb;

typedef struct recovery_rocksdb_options {
  int64_t bytes;  // of this structure: a newer library knows an older program by it
  const char* path;
  const char* remote;  // null: where it went the last time
  int64_t durability;
  int64_t sync_interval_ms;
  int64_t retention_ms;
  int64_t hints_bytes;
  int64_t hints_interval_ms;
  int64_t max_local_log_bytes;
  void (*alarm)(void* context, const char* message);  // or null
  void* context;
  void* default_env;  // rocksdb::Env::Default() of the program
} recovery_rocksdb_options;

typedef struct recovery_rocksdb_state {
  int64_t bytes;  // of this structure
  uint64_t written_lsn;
  uint64_t shipped_lsn;
  int64_t is_locked;
} recovery_rocksdb_state;

// All return one of recovery::Code; where that is not 0, *message is set, and freed by recovery_rocksdb_free.
int32_t recovery_rocksdb_open(const recovery_rocksdb_options* options, recovery_rocksdb** env, char** message);
int32_t recovery_rocksdb_record(recovery_rocksdb* env, void* db_options, char** message);
int32_t recovery_rocksdb_may_record(recovery_rocksdb* env, const void* column_family_options, char** message);
int32_t recovery_rocksdb_sync(recovery_rocksdb* env, int64_t patience_ms, char** message);
int32_t recovery_rocksdb_status(recovery_rocksdb* env, recovery_rocksdb_state* state, char** trouble);
int32_t recovery_rocksdb_close(recovery_rocksdb* env, char** message);
void* recovery_rocksdb_env(recovery_rocksdb* env);
void recovery_rocksdb_free(char* message);
}

namespace recovery {

// When a synced write returns.
enum class Durability {
  kLocal = 0,   // when this machine's disk has it, as RocksDB promises; the remote has it a moment later
  kRemote = 1,  // when the remote has it
};

struct EnvOptions {
  std::string path;  // RocksDB's directory, exactly as DB::Open will get it
  Durability durability = Durability::kLocal;
  std::chrono::milliseconds sync_interval = std::chrono::seconds(1);  // for how long writes are gathered
  std::chrono::milliseconds retention = std::chrono::hours(24);       // for how long every past state can be restored

  // Log shipped, and time, until new hints are published: about as much is replayed by a restore.
  int64_t hints_bytes = int64_t{256} << 20;
  std::chrono::milliseconds hints_interval = std::chrono::hours(1);

  // The most that the local log may grow to while the remote is away; then writes fail.
  int64_t max_local_log_bytes = int64_t{4} << 30;

  // For how long Sync waits for a remote that is away.
  std::chrono::milliseconds sync_patience = std::chrono::seconds(30);

  // Told, on any thread, what an operator must know and no caller waits for. Throws nothing.
  std::function<void(const std::string&)> alarm;
};

// What an operator watches.
struct EnvStatus {
  uint64_t written_lsn = 0;  // the newest record of the log
  uint64_t shipped_lsn = 0;  // the newest that the remote is known to have; 0 without one
  bool is_open = false;      // a RocksDB is open in it
  rocksdb::Status shipping;  // what is in the way of shipping now; OK when nothing is
};

// How the library says what went wrong.
enum class Code : int32_t {
  kOk = 0,
  kInvalid = 1,      // InvalidArgument
  kNotFound = 2,     // NotFound
  kBusy = 3,         // Busy: trying again later can succeed
  kNoSpace = 4,      // NoSpace
  kIo = 5,           // IOError
  kCorrupt = 6,      // Corruption
  kFenced = 7,       // IOError, IsIOFenced(): another writer has taken over
  kUnsupported = 8,  // NotSupported
  kTimedOut = 9,     // TimedOut: the remote is away
};

class RecordedEnv {
 public:
  RecordedEnv(const RecordedEnv&) = delete;
  RecordedEnv& operator=(const RecordedEnv&) = delete;
  ~RecordedEnv() {
    // What stays behind may tell of something yet.
    if (Close().IsBusy()) static_cast<void>(alarm_.release());
  }

  // How opening it went. Everything else says the same when that failed.
  const rocksdb::Status& status() const { return status_; }

  // The environment for rocksdb::Options, which Record puts there; null when it was not opened.
  rocksdb::Env* get() const {
    return env_ == nullptr ? nullptr : static_cast<rocksdb::Env*>(recovery_rocksdb_env(env_));
  }

  // Makes options use the environment, or says which of them asks for what cannot be recorded: allow_mmap_writes,
  // db_paths, cf_paths, wal_dir, another environment. The options are for that one RocksDB then.
  rocksdb::Status Record(rocksdb::Options* options) {
    rocksdb::Status status = MayRecord(*options);
    return status.ok() ? Record(static_cast<rocksdb::DBOptions*>(options)) : status;
  }
  rocksdb::Status Record(rocksdb::DBOptions* options) {
    if (env_ == nullptr) return status_;
    char* message = nullptr;
    const int32_t code = recovery_rocksdb_record(env_, options, &message);
    return StatusOf(code, message);
  }
  rocksdb::Status Record(rocksdb::DBOptions* options, const std::vector<rocksdb::ColumnFamilyDescriptor>& families) {
    for (const rocksdb::ColumnFamilyDescriptor& family : families) {
      rocksdb::Status status = MayRecord(family.options);
      if (!status.ok()) return status;
    }
    return Record(options);
  }

  // Syncs the write-ahead log of the RocksDB that is open in it, and returns when everything that was written before
  // can be restored from the remote. What was written without a write-ahead log is there once it was flushed.
  rocksdb::Status Sync(rocksdb::DB* db) {
    if (env_ == nullptr) return status_;
    rocksdb::Status status = db->FlushWAL(true);
    if (!status.ok()) return status;
    char* message = nullptr;
    const int32_t code = recovery_rocksdb_sync(env_, sync_patience_.count(), &message);
    return StatusOf(code, message);
  }

  EnvStatus GetStatus() const {
    EnvStatus result;
    result.shipping = status_;
    if (env_ == nullptr) return result;
    recovery_rocksdb_state state = {};
    state.bytes = sizeof state;
    char* trouble = nullptr;
    const int32_t code = recovery_rocksdb_status(env_, &state, &trouble);
    result.shipping = StatusOf(code, trouble);
    result.written_lsn = state.written_lsn;
    result.shipped_lsn = state.shipped_lsn;
    result.is_open = state.is_locked != 0;
    return result;
  }

  // To be called when the RocksDB is closed. Ships what is left, if the remote can be reached within a few seconds:
  // what it lacks is in the directory, and the next opening ships it. Busy while a RocksDB is open in it. The second
  // call does nothing.
  rocksdb::Status Close() {
    if (env_ == nullptr) return rocksdb::Status::OK();
    char* message = nullptr;
    const int32_t code = recovery_rocksdb_close(env_, &message);
    rocksdb::Status status = StatusOf(code, message);
    if (status.IsBusy()) return status;
    env_ = nullptr;
    status_ = rocksdb::Status::Aborted("The environment was closed.");
    return status;
  }

 private:
  friend std::unique_ptr<RecordedEnv> OpenEnv(const std::string& remote, const EnvOptions& options);
  using Alarm = std::function<void(const std::string&)>;

  RecordedEnv() = default;

  static void Tell(void* context, const char* message) { (*static_cast<Alarm*>(context))(message); }

  // Takes the message.
  static rocksdb::Status StatusOf(int32_t code, char* message) {
    const std::string text = message == nullptr ? "" : message;
    recovery_rocksdb_free(message);
    switch (static_cast<Code>(code)) {
      case Code::kOk:
        return rocksdb::Status::OK();
      case Code::kInvalid:
        return rocksdb::Status::InvalidArgument(text);
      case Code::kNotFound:
        return rocksdb::Status::NotFound(text);
      case Code::kBusy:
        return rocksdb::Status::Busy(text);
      case Code::kNoSpace:
        return rocksdb::Status::NoSpace(text);
      case Code::kCorrupt:
        return rocksdb::Status::Corruption(text);
      case Code::kFenced:
        return rocksdb::IOStatus::IOFenced(text);
      case Code::kUnsupported:
        return rocksdb::Status::NotSupported(text);
      case Code::kTimedOut:
        return rocksdb::Status::TimedOut(text);
      default:
        return rocksdb::Status::IOError(text);
    }
  }

  rocksdb::Status MayRecord(const rocksdb::ColumnFamilyOptions& options) {
    if (env_ == nullptr) return status_;
    char* message = nullptr;
    const int32_t code = recovery_rocksdb_may_record(env_, &options, &message);
    return StatusOf(code, message);
  }

  recovery_rocksdb* env_ = nullptr;
  rocksdb::Status status_;
  std::chrono::milliseconds sync_patience_{};
  std::unique_ptr<Alarm> alarm_;
};

// Opens the directory of a RocksDB, new or not, recorded or not until now, for the one process that writes it. The
// remote: s3://bucket/prefix or file:///directory; "": where it went the last time, if anywhere; "none": nowhere.
// Never null: status() says whether it was opened. To be called before the RocksDB is opened.
inline std::unique_ptr<RecordedEnv> OpenEnv(const std::string& remote, const EnvOptions& options) {
  std::unique_ptr<RecordedEnv> result(new RecordedEnv());
  result->sync_patience_ = options.sync_patience;
  if (options.alarm) result->alarm_.reset(new RecordedEnv::Alarm(options.alarm));
  recovery_rocksdb_options given = {};
  given.bytes = sizeof given;
  given.path = options.path.c_str();
  given.remote = remote.empty() ? nullptr : remote.c_str();
  given.durability = static_cast<int64_t>(options.durability);
  given.sync_interval_ms = options.sync_interval.count();
  given.retention_ms = options.retention.count();
  given.hints_bytes = options.hints_bytes;
  given.hints_interval_ms = options.hints_interval.count();
  given.max_local_log_bytes = options.max_local_log_bytes;
  given.alarm = options.alarm ? &RecordedEnv::Tell : nullptr;
  given.context = result->alarm_.get();
  given.default_env = rocksdb::Env::Default();
  char* message = nullptr;
  const int32_t code = recovery_rocksdb_open(&given, &result->env_, &message);
  result->status_ = RecordedEnv::StatusOf(code, message);
  return result;
}

}  // namespace recovery

#endif
