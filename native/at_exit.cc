// What RocksDB does when the process exits, in a host that forks. A child made by fork() has RocksDB's static objects
// but none of its threads, and their destructors wait for those threads forever (pthread_cond_destroy waits for whoever
// waits on the condition). So two functions are replaced: this library comes before librocksdb in the loader's search,
// and RocksDB calls them through the dynamic linker. A test forks and exits with a store open.
#include <rocksdb/status.h>

namespace rocksdb {

// Starts a thread for statistics dumps and for flushing the info log, none of which is wanted.
class DBImpl {
 public:
  Status StartPeriodicTaskScheduler();
};
__attribute__((visibility("default"))) Status DBImpl::StartPeriodicTaskScheduler() { return Status::OK(); }

// Only ever runs at exit, after the pool's threads were joined: there is nothing left to give back but memory.
class ThreadPoolImpl {
 public:
  ~ThreadPoolImpl();
};
__attribute__((visibility("default"))) ThreadPoolImpl::~ThreadPoolImpl() {}

}  // namespace rocksdb
