// librecovery_native: RocksDB as the page store wants it, behind one flat C interface, and RocksDB's files as the
// recovery log wants them: each change reported. src/PageStore/Interop/Native.cs mirrors this header; change both, and
// the number RV_INTERFACE, together.
//
// Conventions. Functions that can fail return an RV_ code, 0 for success; on failure they set *error to a message that
// the caller frees with rv_free (error may be null). Names and paths are UTF-8, zero-terminated. Everything may be
// called from any thread unless it says otherwise. A store must not be closed while a call on it is running.
#ifndef RECOVERY_NATIVE_H
#define RECOVERY_NATIVE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RV_API __attribute__((visibility("default")))
#define RV_INTERFACE 7

enum rv_code {
  RV_OK = 0,
  RV_CORRUPT = 1,       // bytes do not verify, or a file that must exist is missing
  RV_IO = 2,            // any other I/O error; the message says which call on which file
  RV_NO_SPACE = 3,      // the disk is full: nothing was applied; a call made after space was freed succeeds
  RV_BUSY = 4,          // another process, or another store in this one, holds the directory
  RV_CANCELED = 5,      // *canceled was set
  RV_INVALID = 6,       // the call makes no sense on this store
  RV_OPEN_FILES = 7,    // too many open files, or missing rights
  RV_READ_ONLY = 8,     // a write to a store opened for reading, or on a read-only disk
  RV_MISSING_FILE = 9,  // a file that was asked for is not there
  RV_OTHER = 10,
};

// ---- Files: a file system for RocksDB that reports what is done to its files, and fails on demand (for tests) ----

enum rv_file_event {
  RV_FILE_CREATED = 1,    // name; it is empty now, also if it existed
  RV_FILE_APPENDED = 2,   // name, bytes and length (0 for table and blob files), size and crc32c of the whole file
  RV_FILE_SEALED = 3,     // name, size, crc32c: closed, never written again
  RV_FILE_TRUNCATED = 4,  // name, size
  RV_FILE_RENAMED = 5,    // name -> other, replacing other
  RV_FILE_LINKED = 6,     // name -> other, both exist now
  RV_FILE_DELETED = 7,    // name
  RV_FILE_SYNCED = 8,     // name, size: what was appended is durable; in a whole directory only
  RV_FILE_ADOPTED = 9,    // name: a whole file came from elsewhere, and will not change; in a whole directory only
};

// Called for every change of a file that matters (of a page store: all but LOG, LOCK and the always empty *.log; of a
// whole directory: all that RocksDB needs to open it, write-ahead logs too), on RocksDB's threads, in order for each
// file. What is deleted or cut is reported before it happens, all else after: so that the reported
// files are never more than the directory's. A result other than 0 fails RocksDB's operation.
typedef int32_t (*rv_file_callback)(void* context, int32_t event, const char* name, const char* other,
                                    const uint8_t* bytes, int64_t length, int64_t size, uint32_t crc32c);

typedef struct rv_files rv_files;

// A callback of null reports nothing. With faults, reads can be made to fail as well, at the cost of a virtual call
// each.
RV_API rv_files* rv_files_create(rv_file_callback callback, void* context, int32_t faults);

// The same for a RocksDB of anybody's: reports what is done in that directory, write-ahead logs and their syncs
// included, and nothing of what is done elsewhere.
RV_API rv_files* rv_files_of(const char* directory, rv_file_callback callback, void* context, int32_t faults);

// Stores opened with it keep it alive; the callback is called no more when the last of them is closed.
RV_API void rv_files_free(rv_files* files);

enum rv_fault_operation { RV_FAULT_OPEN = 1, RV_FAULT_WRITE = 2, RV_FAULT_SYNC = 4, RV_FAULT_READ = 8 };
enum rv_fault_error { RV_FAULT_EIO = 1, RV_FAULT_ENOSPC = 2, RV_FAULT_EMFILE = 3 };

// From the operation after the next `skip` matching ones, `times` operations fail (negative: all). Operations is a set
// of rv_fault_operation; suffix is the end, or the beginning, of the names it matches ("" for all).
RV_API void rv_files_fault(rv_files* files, int32_t operations, const char* suffix, int64_t skip, int64_t times,
                           int32_t error);
RV_API void rv_files_heal(rv_files* files);  // removes all faults

// While held (counted), files that RocksDB deletes stay in the directory, and their deletion is not reported.
RV_API void rv_files_hold(rv_files* files, int32_t hold);

// Called, on whatever thread reads, to read an absent file: as many bytes as there are up to the length. Returns how
// many it gave; less than 0 fails the read.
typedef int64_t (*rv_read_callback)(void* context, const char* name, int64_t offset, int64_t length, uint8_t* bytes);

// Who reads files whose bytes may be missing. Before any store is opened with the files.
RV_API void rv_files_read_absent(rv_files* files, rv_read_callback callback, void* context);

// Whether bytes of the file of that name may be missing. It has its length.
RV_API void rv_file_absent(rv_files* files, const char* name, int32_t absent);

// ---- Any RocksDB: opened by somebody else, through RocksDB's own C interface, with an environment of ours ----

// Makes options (a rocksdb_options_t) use the files' environment. RV_INVALID, with what to change, when they ask for
// something that cannot be recorded. The files must outlive the database.
RV_API int32_t rv_record(rv_files* files, void* options, char** error);

// The same for C++: options (a rocksdb::DBOptions) of the same RocksDB, and those of a column family (a
// rocksdb::ColumnFamilyOptions), which are only looked at.
RV_API int32_t rv_record_cpp(rv_files* files, void* options, char** error);
RV_API int32_t rv_may_record_cpp(rv_files* files, const void* family_options, char** error);
RV_API void* rv_env(rv_files* files);  // a rocksdb::Env, which lives as long as the files

// Whether a RocksDB is open in the directory of rv_files_of.
RV_API int32_t rv_is_locked(rv_files* files);

// Whether it is the one that Env::Default() returns here: who calls has the same RocksDB then.
RV_API int32_t rv_has_default_env(void* env);

// Called by a recorder that is about to say no, on its thread: RocksDB's error says that.
RV_API void rv_refuse(const char* why, int32_t is_fenced);

// A database (a rocksdb_t) that was opened so: its background work is stopped at exit; and it is closed soon.
RV_API void rv_recorded_open(void* database);
RV_API void rv_recorded_close(void* database);

// The version of the RocksDB that this library runs on: "7.8.3".
RV_API const char* rv_rocksdb_version(void);

// ---- Pairs: any RocksDB, read and written without its application ----

typedef struct rv_pairs rv_pairs;

// With files of null, for reading, with all column families, as it is at one moment, also while another process writes
// it; nothing is changed. Else for writing, through the files, with the options that it was opened with last; made when
// there is none. Used by one thread at a time. RV_INVALID when it has an order of keys of its application's own, or,
// for writing, a merge operator.
RV_API int32_t rv_pairs_open(const char* directory, rv_files* files, rv_pairs** pairs, char** error);
RV_API void rv_pairs_close(rv_pairs* pairs);

// The name of a column family by its number, from 0 on; null after the last.
RV_API const char* rv_pairs_family_name(rv_pairs* pairs, int32_t family, int64_t* length);
RV_API int32_t rv_pairs_add_family(rv_pairs* pairs, const char* name, int64_t length, char** error);  // the last then

// RocksDB's own number of the newest write that is seen.
RV_API uint64_t rv_pairs_sequence(rv_pairs* pairs);

// Calls back for each pair from `from` on up to, but without, `to` (null: no bound), in the order of keys, until the
// callback returns something else than 0 (then the scan ends, successfully). The bytes are valid during the callback.
typedef int32_t (*rv_pair_callback)(void* context, const uint8_t* key, int64_t key_length, const uint8_t* value,
                                    int64_t value_length);
RV_API int32_t rv_pairs_scan(rv_pairs* pairs, int32_t family, const uint8_t* from, int64_t from_length,
                             const uint8_t* to, int64_t to_length, rv_pair_callback callback, void* context,
                             char** error);

// Adds to a batch; writes the batch, which is empty then.
RV_API int32_t rv_pairs_put(rv_pairs* pairs, int32_t family, const uint8_t* key, int64_t key_length,
                            const uint8_t* value, int64_t value_length, char** error);
RV_API int32_t rv_pairs_write(rv_pairs* pairs, int32_t sync, char** error);

// ---- Stores ----

enum rv_mode {
  RV_READ_WRITE = 0,
  RV_READ_ONLY_MODE = 1,  // what is flushed now, also while another process writes; changes nothing, not even a log
};

typedef struct rv_options {
  const char* directory;
  rv_files* files;             // null: plain files
  int64_t block_cache_bytes;   // keys, and nothing else
  int64_t write_buffer_bytes;  // a memtable; there are up to two
  int32_t mode;
  int32_t create;     // whether a directory without a store is an error
  int32_t blob_zstd;  // zstd instead of LZ4 for pages
} rv_options;

typedef struct rv_store rv_store;
typedef struct rv_batch rv_batch;
typedef struct rv_snapshot rv_snapshot;

RV_API int32_t rv_interface(void);  // RV_INTERFACE
RV_API void rv_free(char* message);

// Stores need not be closed before the process exits: what they do in the background is stopped then, and no call into
// this library returns any more. Before that this is called, once, on the thread that exits, unless that is in a forked
// child.
RV_API void rv_before_exit(void (*call)(void));
RV_API int32_t rv_open(const rv_options* options, rv_store** store, char** error);

// Does with the page store in a directory, which nobody has open, what a store does with it, and reads all of it: in a
// process of its own, that may die of it. RV_CORRUPT, with what is wrong, when it did; RV_OTHER when no process could
// be started. Works in the directory `trial`, which must not exist, on the same file system; the caller deletes it.
// With RV_TRIAL_KEYS no blob is read: those may not be here. With RV_TRIAL_SOME a few are: the caller knows that all
// are right. With `trial` null, it is anybody's RocksDB, which is only read.
enum { RV_TRIAL_ALL = 0, RV_TRIAL_KEYS = 1, RV_TRIAL_SOME = 2 };
RV_API int32_t rv_trial(const char* directory, const char* trial, int32_t depth, const uint8_t* canceled, char** error);

RV_API void rv_close(rv_store* store);  // without a flush: what was not flushed is gone

// Copies as much of the value as fits; *length is its whole length, or -1 when there is none.
RV_API int32_t rv_get(rv_store* store, rv_snapshot* snapshot, uint32_t database, uint32_t page, uint8_t* buffer,
                      int32_t capacity, int32_t* length, char** error);

// Calls back for each page from first to last, both included, until the callback returns something else than 0 (then
// the scan ends, successfully). The value is valid during the callback.
typedef int32_t (*rv_page_callback)(void* context, uint32_t page, const uint8_t* value, int32_t length);
RV_API int32_t rv_scan(rv_store* store, rv_snapshot* snapshot, uint32_t database, uint32_t first, uint32_t last,
                       rv_page_callback callback, void* context, char** error);

// The first database from this number on that has pages; 0 when there is none.
RV_API int32_t rv_next_database(rv_store* store, uint32_t from, uint32_t* database, char** error);

RV_API rv_snapshot* rv_snapshot_take(rv_store* store);
RV_API void rv_snapshot_release(rv_store* store, rv_snapshot* snapshot);

// The applied LSN: newest, as of a snapshot, or as a crash would leave it (durably in files).
RV_API int32_t rv_applied(rv_store* store, rv_snapshot* snapshot, uint64_t* applied, char** error);
RV_API int32_t rv_persisted_applied(rv_store* store, uint64_t* applied, char** error);

// Batches: used by one thread at a time.
RV_API rv_batch* rv_batch_create(void);
RV_API void rv_batch_free(rv_batch* batch);
RV_API void rv_batch_clear(rv_batch* batch);
RV_API int64_t rv_batch_bytes(rv_batch* batch);
RV_API int32_t rv_batch_put(rv_batch* batch, uint32_t database, uint32_t page, const uint8_t* value, int32_t length);
RV_API int32_t rv_batch_delete_range(rv_batch* batch, uint32_t database, uint32_t first, uint32_t last);

// Applies the batch, and the applied LSN with it when has_applied, or nothing. The batch is cleared when it was
// applied. Waits while RocksDB's flushes or compactions are too far behind. After RV_NO_SPACE, the next call resumes by
// itself.
RV_API int32_t rv_apply(rv_store* store, rv_batch* batch, int32_t has_applied, uint64_t applied, char** error);
RV_API int32_t rv_flush(rv_store* store, char** error);

// Compacts all keys, so that RocksDB knows all garbage; with collect, also rewrites the live blobs of the oldest share
// age_cutoff of blob files, and drops these files. Runs on RocksDB's thread while the caller waits; ends soon when
// *canceled becomes 1 (read atomically).
RV_API int32_t rv_compact(rv_store* store, int32_t collect, double age_cutoff, const uint8_t* canceled, char** error);

// While held (counted), files that were live when it began, or became so since, stay in the directory.
RV_API int32_t rv_hold_files(rv_store* store, int32_t hold, char** error);

typedef struct rv_statistics {
  int64_t blob_files;
  int64_t blob_file_bytes;
  int64_t blob_bytes;          // of blobs in these files, dead ones included
  int64_t blob_garbage_bytes;  // of blobs known to be dead
  int64_t blob_count;
  int64_t blob_garbage_count;
  int64_t table_files;
  int64_t table_bytes;
  int64_t level0_files;
  int64_t range_deletions;  // in table files
  int64_t unflushed_bytes;
  int64_t pending_compaction_bytes;
  int64_t snapshots;
  int64_t flushes;  // since opened
  int64_t block_cache_bytes;
  int64_t background_errors;
  int64_t write_stopped;
} rv_statistics;
RV_API int32_t rv_stat(rv_store* store, rv_statistics* statistics, char** error);
RV_API int64_t rv_unflushed_bytes(rv_store* store);

#ifdef __cplusplus
}
#endif
#endif
