// What recovery_rocksdb.h says when something is asked of it that it does not do: a line each, "case: status".
#include <rocksdb/file_system.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <string>

#include "recovery_rocksdb.h"

namespace {

using rocksdb::Status;
std::string root;

void Say(const std::string& name, const Status& status) { std::cout << name << ": " << status.ToString() << std::endl; }

std::unique_ptr<recovery::RecordedEnv> OpenEnv(const std::string& path, const std::string& remote = "none") {
  recovery::EnvOptions recorded;
  recorded.path = path;
  recorded.sync_interval = std::chrono::milliseconds(20);
  return recovery::OpenEnv(remote, recorded);
}

Status OpenDb(rocksdb::Options options, const std::string& path, std::unique_ptr<rocksdb::DB>* db) {
  options.create_if_missing = true;
  rocksdb::DB* opened = nullptr;
  Status status = rocksdb::DB::Open(options, path, &opened);
  db->reset(opened);
  return status;
}

Status PutSynced(rocksdb::DB* db, const std::string& key) {
  rocksdb::WriteOptions synced;
  synced.sync = true;
  return db->Put(synced, key, "1");
}

void Options() {
  const std::string path = root + "/options";
  auto env = OpenEnv(path);
  auto record = [&](const std::string& name, void (*change)(rocksdb::Options*)) {
    rocksdb::Options options;
    change(&options);
    Say(name, env->Record(&options));
  };
  record("mmap", [](rocksdb::Options* o) { o->allow_mmap_writes = true; });
  record("db_paths", [](rocksdb::Options* o) { o->db_paths.emplace_back(root + "/elsewhere", 1 << 20); });
  record("cf_paths", [](rocksdb::Options* o) { o->cf_paths.emplace_back(root + "/elsewhere", 1 << 20); });
  record("wal_dir", [](rocksdb::Options* o) { o->wal_dir = root + "/wal"; });
  static const std::unique_ptr<rocksdb::Env> another = rocksdb::NewCompositeEnv(rocksdb::FileSystem::Default());
  record("env", [](rocksdb::Options* o) { o->env = another.get(); });
  record("own path", [](rocksdb::Options* o) {
    o->db_paths.emplace_back(root + "/options", 1 << 20);
    o->wal_dir = root + "/options/";
  });

  rocksdb::ColumnFamilyOptions family;
  family.cf_paths.emplace_back(root + "/elsewhere", 1 << 20);
  rocksdb::DBOptions options;
  Say("family", env->Record(&options, {{"default", rocksdb::ColumnFamilyOptions()}, {"second", family}}));
}

// What Record was not shown.
void Behind() {
  const std::string path = root + "/behind";
  auto env = OpenEnv(path);
  rocksdb::Options options;
  options.env = env->get();
  options.allow_mmap_writes = true;
  std::unique_ptr<rocksdb::DB> db;
  Status status = OpenDb(options, path, &db);
  if (status.ok()) status = db->Put(rocksdb::WriteOptions(), "a", "1");
  if (status.ok()) status = db->Flush(rocksdb::FlushOptions());
  Say("mmap behind", status);
  db.reset();
  options.allow_mmap_writes = false;
  Say("record", env->Record(&options));
  std::filesystem::create_directories(root + "/other");
  Say("another name", OpenDb(options, root + "/other/../behind", &db));
  Say("another directory", OpenDb(options, root + "/other", &db));
  Say("open", OpenDb(options, path, &db));

  rocksdb::ColumnFamilyOptions elsewhere;
  elsewhere.cf_paths.emplace_back(root + "/elsewhere", 1 << 20);
  rocksdb::ColumnFamilyHandle* family = nullptr;
  status = db->CreateColumnFamily(elsewhere, "elsewhere", &family);
  if (status.ok()) status = db->Put(rocksdb::WriteOptions(), family, "a", "1");
  if (status.ok()) status = db->Flush(rocksdb::FlushOptions(), family);
  Say("family behind", status);
  if (family != nullptr) db->DestroyColumnFamilyHandle(family);
}

void Order() {
  const std::string path = root + "/order";
  Say("path", OpenEnv("")->status());
  Say("url", OpenEnv(path, "ftp://nowhere")->status());
  auto env = OpenEnv(path);
  Say("env", env->status());
  Say("second env", OpenEnv(path)->status());
  rocksdb::Options options;
  Say("record", env->Record(&options));
  std::unique_ptr<rocksdb::DB> db;
  Say("open", OpenDb(options, path, &db));
  Say("sync", env->Sync(db.get()));
  Say("early", env->Close());
  Say("put", PutSynced(db.get(), "a"));
  std::cout << "is open: " << env->GetStatus().is_open << std::endl;
  db.reset();
  std::cout << "is open: " << env->GetStatus().is_open << std::endl;
  Say("close", env->Close());
  Say("again", env->Close());
  Say("closed", env->Record(&options));

  // Dropped while a RocksDB is open in it: that goes on.
  env = OpenEnv(path);
  options.env = rocksdb::Env::Default();
  Say("reopened", env->Record(&options));
  Say("open", OpenDb(options, path, &db));
  env.reset();
  Say("put", PutSynced(db.get(), "b"));
  Say("flush", db->Flush(rocksdb::FlushOptions()));
}

// The directory is copied, and its copy opened with the same remote: the first writer learns of it.
void Fencing() {
  const std::string path = root + "/fenced", remote = "file://" + root + "/remote";
  auto env = OpenEnv(path, remote);
  rocksdb::Options options;
  Say("record", env->Record(&options));
  std::unique_ptr<rocksdb::DB> db;
  Say("open", OpenDb(options, path, &db));
  Say("put", PutSynced(db.get(), "a"));
  Say("sync", env->Sync(db.get()));
  std::cout << "ready" << std::endl;
  std::string line;
  std::getline(std::cin, line);  // another writer has taken over now
  Status status;
  for (int i = 0; status.ok() && i < 100000; i++) {
    status = PutSynced(db.get(), "b");
    if (status.ok()) status = env->Sync(db.get());
  }
  Say(std::string("fenced ") + (status.IsIOFenced() ? "yes" : "no"), status);
  Say("shipping", env->GetStatus().shipping);
  db.reset();
  Say("close", env->Close());
}

// A program that closes nothing.
void Exit() {
  const std::string path = root + "/leaked";
  auto* env = OpenEnv(path, "file://" + root + "/remote").release();
  rocksdb::Options options;
  Say("record", env->Record(&options));
  std::unique_ptr<rocksdb::DB> db;
  Say("open", OpenDb(options, path, &db));
  Say("put", PutSynced(db.get(), "a"));
  Say("flush", db->Flush(rocksdb::FlushOptions()));
  Say("put", PutSynced(db.get(), "b"));
  static_cast<void>(db.release());
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) return 2;
  root = arguments[1];
  const std::string part = arguments[2];
  if (part == "options") Options();
  if (part == "behind") Behind();
  if (part == "order") Order();
  if (part == "fencing") Fencing();
  if (part == "exit") Exit();
  return 0;
}
