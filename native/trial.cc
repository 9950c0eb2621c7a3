// Opens files that come from somewhere else in a process of their own, before this one does.
//
// RocksDB as distributions build it asserts much of what it reads: a MANIFEST or a table that somebody made on purpose,
// with checksums that are right, ends the process. So a child does first what the host will do later, and more
// (trial_process.cc): what would end the host ends the child, and is an error.
//
// The child is this library itself, run as a program by the dynamic loader: nothing else has to be shipped or found,
// and it can be no other version.
#include "trial.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "calls.h"

extern char** environ;

using recovery::Fail;
using recovery::Guard;
using recovery::kTrialDepths;
using recovery::kTrialPassed;

namespace {

int FindLoader(dl_phdr_info* info, size_t, void* found) {
  const char* name = strrchr(info->dlpi_name, '/');
  if (name == nullptr || strncmp(name, "/ld-", 4) != 0) return 0;
  *static_cast<std::string*>(found) = info->dlpi_name;
  return 1;
}

class Child {
 public:
  ~Child() {
    if (pipe_ >= 0) close(pipe_);
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    // The host may have arranged for children to be reaped by others: then this says so, and that is fine.
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  // 0, or an errno.
  int Start(const std::vector<std::string>& command) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return errno;
    pipe_ = ends[0];
    std::vector<char*> arguments;
    for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    const int failed = posix_spawn(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (failed != 0) pid_ = 0;
    return failed;
  }

  // All that it says until it ends; false when canceled.
  bool Listen(const volatile uint8_t* canceled, std::string* said) {
    char bytes[4096];
    while (canceled == nullptr || *canceled == 0) {
      pollfd ready{pipe_, POLLIN, 0};
      if (poll(&ready, 1, kPollMs) <= 0) continue;
      const ssize_t got = read(pipe_, bytes, sizeof(bytes));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return true;
      if (said->size() < kSaidMax) said->append(bytes, static_cast<size_t>(got));
    }
    return false;
  }

 private:
  static constexpr int kPollMs = 100;
  static constexpr size_t kSaidMax = 4096;

  pid_t pid_ = 0;
  int pipe_ = -1;
};

}  // namespace

extern "C" {

int32_t rv_trial(const char* directory, const char* trial, int32_t depth, const uint8_t* canceled, char** error) {
  return Guard(error, [&]() -> int32_t {
    std::string loader;
    dl_iterate_phdr(FindLoader, &loader);
    Dl_info self;
    char library[PATH_MAX];
    if (loader.empty() || dladdr(reinterpret_cast<void*>(&rv_trial), &self) == 0 ||
        realpath(self.dli_fname, library) == nullptr)
      return Fail(RV_OTHER, "The dynamic loader, or this library's file, was not found", error);
    Child child;
    std::vector<std::string> command = {loader, library, directory};
    if (trial != nullptr) {
      command.push_back(trial);
      command.push_back(kTrialDepths[depth]);
    }
    const int failed = child.Start(command);
    if (failed != 0) return Fail(RV_OTHER, loader + " cannot be run: " + strerror(failed), error);
    std::string said;
    if (!child.Listen(canceled, &said)) return Fail(RV_CANCELED, "canceled", error);
    if (said == kTrialPassed) return RV_OK;
    if (said.find("No space left on device") != std::string::npos) return Fail(RV_NO_SPACE, said, error);
    return Fail(RV_CORRUPT, said.empty() ? "the process that tried them died" : said, error);
  });
}

}  // extern "C"
