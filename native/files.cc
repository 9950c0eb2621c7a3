// The calls for C# about a recorded file system.
#include <utility>

#include "calls.h"
#include "recorded_files.h"

extern "C" {

rv_files* rv_files_create(rv_file_callback callback, void* context, int32_t faults) {
  return recovery::GuardOr<rv_files*>(nullptr, [&] {
    return new rv_files{std::make_shared<recovery::RecordedFileSystem>(callback, context, faults != 0), nullptr};
  });
}

rv_files* rv_files_of(const char* directory, rv_file_callback callback, void* context, int32_t faults) {
  return recovery::GuardOr<rv_files*>(nullptr, [&] {
    auto files = std::make_unique<rv_files>();
    files->system =
        std::make_shared<recovery::RecordedFileSystem>(callback, context, faults != 0, recovery::Recorded(directory));
    files->env = rocksdb::NewCompositeEnv(files->system);
    return files.release();
  });
}

void rv_files_hold(rv_files* files, int32_t hold) {
  recovery::GuardOr(0, [&] {
    if (hold != 0)
      files->system->Hold();
    else
      files->system->Release();
    return 0;
  });
}

void rv_files_free(rv_files* files) { delete files; }

void rv_files_fault(rv_files* files, int32_t operations, const char* suffix, int64_t skip, int64_t times,
                    int32_t error) {
  recovery::GuardOr(0, [&] {
    files->system->faults().Add(operations, suffix, skip, times, error);
    return 0;
  });
}

void rv_files_heal(rv_files* files) {
  recovery::GuardOr(0, [&] {
    files->system->faults().Clear();
    return 0;
  });
}

}  // extern "C"
