// RocksDB's own ldb, whose writes are recorded: recorded-ldb REMOTE --db=DIR put KEY VALUE
#include <rocksdb/ldb_tool.h>

#include <cstdlib>
#include <iostream>
#include <string>

#include "recovery_rocksdb.h"

int main(int count, char** arguments) {
  recovery::EnvOptions recorded;
  for (int i = 2; i < count; i++) {
    const std::string argument = arguments[i];
    if (argument.rfind("--db=", 0) == 0) recorded.path = argument.substr(5);
  }
  if (count < 3 || recorded.path.empty()) {
    std::cerr << "usage: recorded-ldb REMOTE --db=DIR COMMAND..." << std::endl;
    return 2;
  }
  // ldb ends the process by itself; what is left is shipped then.
  auto* env = recovery::OpenEnv(arguments[1], recorded).release();
  rocksdb::Options options;
  rocksdb::Status status = env->Record(&options);
  if (!status.ok()) {
    std::cerr << status.ToString() << std::endl;
    return 1;
  }
  arguments[1] = arguments[0];
  rocksdb::LDBTool().Run(count - 1, arguments + 1, options);
}
