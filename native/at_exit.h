// See at_exit.cc.
#pragma once

#include "rocksdb/db.h"

namespace recovery {

// A call into this library, from its beginning to its end. Once the process exits, one that begins does not return: its
// thread waits for the end of the process, instead of using what is being destroyed. On the thread that exits it is
// refused.
class Inside {
 public:
  Inside();
  ~Inside();
  bool refused() const { return refused_; }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  bool refused_ = false;
};

// Databases whose background work is stopped at exit.
void StopAtExit(rocksdb::DB* db);
void Forget(rocksdb::DB* db);

// Called at the end of every flush and compaction. RocksDB makes static objects at the first of each, and they are
// destroyed before those that are older; so each first one puts the stop before them once more.
void StopBeforeWhatTheFlushMade();
void StopBeforeWhatTheCompactionMade();

}  // namespace recovery
