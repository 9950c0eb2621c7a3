// A RocksDB that comes back from its remote.
//
//   keyvalues DIR REMOTE KEY=VALUE...     puts pairs, and says when the remote has them
//   keyvalues DIR REMOTE                  puts lines of standard input, each of them synced, until it ends
#include <iostream>
#include <memory>
#include <string>

#include "recovery_rocksdb.h"

namespace {

int Fail(const rocksdb::Status& status) {
  std::cerr << status.ToString() << std::endl;
  return 1;
}

rocksdb::Status Put(rocksdb::DB* db, const std::string& pair) {
  const size_t equals = pair.find('=');
  if (equals == std::string::npos) return rocksdb::Status::InvalidArgument("not KEY=VALUE", pair);
  rocksdb::WriteOptions synced;
  synced.sync = true;
  return db->Put(synced, pair.substr(0, equals), pair.substr(equals + 1));
}

rocksdb::Status Run(recovery::RecordedEnv* env, rocksdb::DB* db, int count, char** pairs) {
  rocksdb::Status status;
  for (int i = 0; status.ok() && i < count; i++) status = Put(db, pairs[i]);
  for (std::string line; status.ok() && count == 0 && std::getline(std::cin, line);) {
    status = line == "sync" ? env->Sync(db) : Put(db, line);
    if (status.ok()) std::cout << line << std::endl;
  }
  return status.ok() ? env->Sync(db) : status;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 3) {
    std::cerr << "usage: keyvalues DIR REMOTE [KEY=VALUE...]" << std::endl;
    return 2;
  }
  recovery::EnvOptions recorded;
  recorded.path = arguments[1];
  recorded.alarm = [](const std::string& message) { std::cerr << message << std::endl; };
  auto env = recovery::OpenEnv(arguments[2], recorded);

  rocksdb::Options options;
  options.create_if_missing = true;
  rocksdb::Status status = env->Record(&options);
  if (!status.ok()) return Fail(status);
  rocksdb::DB* opened = nullptr;
  status = rocksdb::DB::Open(options, arguments[1], &opened);
  if (!status.ok()) return Fail(status);

  std::unique_ptr<rocksdb::DB> db(opened);
  status = Run(env.get(), db.get(), count - 3, arguments + 3);
  if (!status.ok()) return Fail(status);
  std::unique_ptr<rocksdb::Iterator> pair(db->NewIterator(rocksdb::ReadOptions()));
  for (pair->SeekToFirst(); pair->Valid(); pair->Next())
    std::cout << pair->key().ToString() << "=" << pair->value().ToString() << std::endl;

  pair.reset();
  db.reset();
  status = env->Close();
  return status.ok() ? 0 : Fail(status);
}
