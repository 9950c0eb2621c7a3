// What happens when the process exits with stores open, or still lingering: its static objects are destroyed while
// threads use them. So before that RocksDB's background work is stopped, calls that are inside are waited for, and no
// other begins. The stores stay as they are: the recovery log has what they lack.
//
// And what RocksDB does then in a host that forks. A child made by fork() has RocksDB's static objects
// but none of its threads, and their destructors wait for those threads forever (pthread_cond_destroy waits for whoever
// waits on the condition). So functions of it are replaced: this library comes before librocksdb in the loader's
// search, and RocksDB calls them through the dynamic linker. A test forks and exits with a store open.
#include "at_exit.h"

#include <dlfcn.h>
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <set>

#include "recovery_native.h"
#include "rocksdb/convenience.h"

namespace recovery {

namespace {

constexpr auto kPatience = std::chrono::seconds(2);

struct Stores {
  std::mutex mutex;
  std::set<rocksdb::DB*> open;
};

// Never destroyed.
Stores& AllStores() {
  static Stores* const stores = new Stores();
  return *stores;
}

// Changed by every call; pages that the page cache has need none.
std::atomic<int64_t> inside{0};
std::atomic<bool> exiting{false};
pthread_t exiting_thread;  // valid once exiting
std::atomic<pid_t> process{0};
std::atomic<void (*)()> first{nullptr};
std::once_flag open_registered, flush_registered, compaction_registered;

void AtExit() {
  // A forked child has none of the threads, and what they held is held for ever.
  if (getpid() != process) return;
  if (auto call = first.exchange(nullptr)) call();
  if (exiting.load()) return;
  exiting_thread = pthread_self();
  exiting = true;
  {
    std::lock_guard<std::mutex> lock(AllStores().mutex);
    for (rocksdb::DB* db : AllStores().open) rocksdb::CancelAllBackgroundWork(db, true);
  }
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (inside.load() > 0 && std::chrono::steady_clock::now() < end) usleep(100);
}

bool IsForkedChild() { return process.load() != 0 && getpid() != process.load(); }

void Register() {
  process = getpid();
  std::atexit(AtExit);
}

}  // namespace

Inside::Inside() {
  inside.fetch_add(1);
  if (!exiting.load()) return;
  refused_ = pthread_equal(exiting_thread, pthread_self()) != 0;
  if (refused_) return;
  inside.fetch_sub(1);
  while (true) pause();
}

Inside::~Inside() { inside.fetch_sub(1); }

void StopAtExit(rocksdb::DB* db) {
  {
    std::lock_guard<std::mutex> lock(AllStores().mutex);
    AllStores().open.insert(db);
  }
  std::call_once(open_registered, Register);
}

void Forget(rocksdb::DB* db) {
  std::lock_guard<std::mutex> lock(AllStores().mutex);
  AllStores().open.erase(db);
}

void StopBeforeWhatTheFlushMade() { std::call_once(flush_registered, Register); }
void StopBeforeWhatTheCompactionMade() { std::call_once(compaction_registered, Register); }

}  // namespace recovery

void rv_before_exit(void (*call)(void)) {
  recovery::first = call;
  recovery::Register();  // throws nothing
}

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
  struct Impl {
    void JoinThreads(bool wait_for_jobs_to_complete);
  };
  ~ThreadPoolImpl();
};
__attribute__((visibility("default"))) ThreadPoolImpl::~ThreadPoolImpl() {}

// A forked child has no such threads. Joining the first lets the C library give back the stacks of the others, and with
// them what it would look at to join those.
__attribute__((visibility("default"))) void ThreadPoolImpl::Impl::JoinThreads(bool wait_for_jobs_to_complete) {
  if (recovery::IsForkedChild()) return;
  using Join = void (*)(Impl*, bool);
  static const auto join = reinterpret_cast<Join>(dlsym(RTLD_NEXT, "_ZN7rocksdb14ThreadPoolImpl4Impl11JoinThreadsEb"));
  if (join != nullptr) join(this, wait_for_jobs_to_complete);
}

}  // namespace rocksdb
