// For programs that take an environment by its URI, as RocksDB's own tools do, and were built without us:
//
//   LD_PRELOAD=./librecovery_plugin.so db_bench --env_uri='recovery:/data/kv file:///backups/kv' --db=/data/kv ...
//
// Loading it registers `recovery:DIRECTORY REMOTE` with RocksDB's registry of objects, and does nothing more.
#include <rocksdb/utilities/object_registry.h>

#include <memory>
#include <string>

#include "recovery_rocksdb.h"

namespace {

rocksdb::Env* Open(const std::string& uri, std::unique_ptr<rocksdb::Env>* /*guard*/, std::string* error) {
  const size_t begin = uri.find(':') + 1, space = uri.find(' ', begin);
  recovery::EnvOptions recorded;
  recorded.path = uri.substr(begin, space - begin);
  // What is left is shipped when the program exits.
  auto* env = recovery::OpenEnv(space == std::string::npos ? "" : uri.substr(space + 1), recorded).release();
  if (!env->status().ok()) *error = env->status().ToString();
  return env->get();
}

[[maybe_unused]] const auto& kRegistered =
    rocksdb::ObjectLibrary::Default()
        -> AddFactory<rocksdb::Env>(rocksdb::ObjectLibrary::PatternEntry("recovery", false).AddSeparator(":"), Open);

}  // namespace
