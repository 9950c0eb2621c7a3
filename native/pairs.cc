#include "pairs.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "at_exit.h"
#include "calls.h"
#include "frozen_files.h"
#include "rocksdb/convenience.h"
#include "rocksdb/utilities/options_util.h"

using recovery::Fail;
using recovery::Finish;
using recovery::Guard;
using recovery::GuardOr;
using rocksdb::ColumnFamilyDescriptor;
using rocksdb::DB;
using rocksdb::Slice;
using rocksdb::Status;

namespace {

std::string TextOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

uint64_t SizeOf(const std::string& path) {
  struct stat found;
  return stat(path.c_str(), &found) == 0 ? static_cast<uint64_t>(found.st_size) : 0;
}

// Options of which nothing is known but what the OPTIONS file tells, as far as this process has what it names.
void LoadOptions(rocksdb::Env* env, const std::string& directory, rocksdb::DBOptions* options,
                 std::vector<ColumnFamilyDescriptor>* families) {
  rocksdb::ConfigOptions config;
  config.env = env;
  config.ignore_unknown_options = true;
  config.ignore_unsupported_options = true;
  if (!rocksdb::LoadLatestOptions(config, directory, options, families).ok()) {
    *options = rocksdb::DBOptions();
    families->clear();
  }
  // Where they were is not where they are: the directory may have been restored, or moved.
  options->env = env;
  options->db_paths.clear();
  options->wal_dir.clear();
  options->db_log_dir.clear();
  options->allow_mmap_writes = false;
}

// All families, each with the order of keys and what else the OPTIONS file tells of it.
Status Families(const rocksdb::DBOptions& options, const std::string& directory,
                std::vector<ColumnFamilyDescriptor>* families) {
  std::vector<std::string> names;
  Status status = DB::ListColumnFamilies(options, directory, &names);
  if (!status.ok()) return status;
  std::vector<ColumnFamilyDescriptor> found;
  for (const std::string& name : names) {
    rocksdb::ColumnFamilyOptions own;
    for (const ColumnFamilyDescriptor& known : *families)
      if (known.name == name) own = known.options;
    own.cf_paths.clear();
    if (own.comparator == nullptr) own.comparator = rocksdb::BytewiseComparator();
    found.emplace_back(name, own);
  }
  *families = std::move(found);
  return status;
}

// Who writes without the application's merge operator would find out at the next compaction, and stop there.
Status CheckOperators(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(directory, failed))
    if (entry.path().filename().string().rfind("OPTIONS-", 0) == 0 && entry.path().extension() != ".dbtmp")
      names.push_back(entry.path());
  if (names.empty()) return Status::OK();
  std::istringstream text(TextOf(*std::max_element(names.begin(), names.end())));
  for (std::string line; std::getline(text, line);) {
    const size_t at = line.find("merge_operator=");
    if (at == std::string::npos) continue;
    const std::string value = line.substr(at + sizeof("merge_operator=") - 1);
    if (!value.empty() && value.rfind("nullptr", 0) != 0)
      return Status::InvalidArgument("It has the merge operator " + value +
                                     ", which only its application can write by");
  }
  return Status::OK();
}

}  // namespace

rv_pairs::~rv_pairs() {
  if (db == nullptr) return;
  recovery::Forget(db.get());
  for (rocksdb::ColumnFamilyHandle* family : families) db->DestroyColumnFamilyHandle(family).PermitUncheckedError();
  db->Close().PermitUncheckedError();
}

Status rv_pairs::OpenForReading() {
  auto frozen = std::make_shared<recovery::FrozenFiles>(rocksdb::FileSystem::Default(), directory);
  own_env = rocksdb::NewCompositeEnv(frozen);
  env = own_env.get();
  Status status = frozen->Freeze();
  if (!status.ok()) return status;
  rocksdb::DBOptions options;
  std::vector<ColumnFamilyDescriptor> described;
  LoadOptions(env, directory, &options, &described);
  // Of those, reading needs the order of keys alone.
  options = rocksdb::DBOptions();
  options.env = env;
  options.info_log = log;
  status = Families(options, directory, &described);
  if (!status.ok()) return status;
  for (ColumnFamilyDescriptor& family : described) {
    const rocksdb::Comparator* order = family.options.comparator;
    family.options = rocksdb::ColumnFamilyOptions();
    family.options.comparator = order;
  }
  DB* opened = nullptr;
  status = DB::OpenForReadOnly(options, directory, described, &families, &opened);
  db.reset(opened);
  return status;
}

Status rv_pairs::OpenForWriting(rv_files* files) {
  system = files->system;
  env = files->env.get();
  if (env == nullptr) {
    own_env = rocksdb::NewCompositeEnv(system);
    env = own_env.get();
  }
  rocksdb::DBOptions options;
  std::vector<ColumnFamilyDescriptor> described;
  LoadOptions(env, directory, &options, &described);
  options.info_log = log;
  options.create_if_missing = true;
  const bool exists = SizeOf(directory + "/CURRENT") > 0;
  Status status = exists ? CheckOperators(directory) : Status::OK();
  if (status.ok() && exists) status = Families(options, directory, &described);
  if (!exists) described = {ColumnFamilyDescriptor(rocksdb::kDefaultColumnFamilyName, rocksdb::ColumnFamilyOptions())};
  if (!status.ok()) return status;
  DB* opened = nullptr;
  status = DB::Open(options, directory, described, &families, &opened);
  db.reset(opened);
  if (status.ok()) recovery::StopAtExit(opened);
  return status;
}

Status rv_pairs::Scan(size_t family, const Slice* from, const Slice* to, rv_pair_callback callback, void* context) {
  if (family >= families.size()) return Status::InvalidArgument("There is no such column family");
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  options.total_order_seek = true;
  options.iterate_upper_bound = to;
  std::unique_ptr<rocksdb::Iterator> pairs(db->NewIterator(options, families[family]));
  for (from == nullptr ? pairs->SeekToFirst() : pairs->Seek(*from); pairs->Valid(); pairs->Next()) {
    const Slice key = pairs->key(), value = pairs->value();
    if (callback(context, reinterpret_cast<const uint8_t*>(key.data()), static_cast<int64_t>(key.size()),
                 reinterpret_cast<const uint8_t*>(value.data()), static_cast<int64_t>(value.size())) != 0)
      break;
  }
  return pairs->status();
}

extern "C" {

int32_t rv_pairs_open(const char* directory, rv_files* files, rv_pairs** result, char** error) {
  return Guard(error, [&]() -> int32_t {
    auto pairs = std::make_unique<rv_pairs>();
    pairs->directory = directory;
    const Status status = files == nullptr ? pairs->OpenForReading() : pairs->OpenForWriting(files);
    if (!status.ok()) return Finish(status, *pairs->log, error);
    *result = pairs.release();
    return RV_OK;
  });
}

void rv_pairs_close(rv_pairs* pairs) {
  GuardOr(0, [&] {
    delete pairs;
    return 0;
  });
}

const char* rv_pairs_family_name(rv_pairs* pairs, int32_t family, int64_t* length) {
  return GuardOr(static_cast<const char*>(nullptr), [&]() -> const char* {
    if (family < 0 || static_cast<size_t>(family) >= pairs->families.size()) return nullptr;
    const std::string& name = pairs->families[static_cast<size_t>(family)]->GetName();
    *length = static_cast<int64_t>(name.size());
    return name.data();
  });
}

int32_t rv_pairs_add_family(rv_pairs* pairs, const char* name, int64_t length, char** error) {
  return Guard(error, [&]() -> int32_t {
    rocksdb::ColumnFamilyHandle* made = nullptr;
    const Status status = pairs->db->CreateColumnFamily(rocksdb::ColumnFamilyOptions(),
                                                        std::string(name, static_cast<size_t>(length)), &made);
    if (status.ok()) pairs->families.push_back(made);
    return Finish(status, *pairs->log, error);
  });
}

uint64_t rv_pairs_sequence(rv_pairs* pairs) {
  return GuardOr(uint64_t{0}, [&] { return pairs->db->GetLatestSequenceNumber(); });
}

int32_t rv_pairs_scan(rv_pairs* pairs, int32_t family, const uint8_t* from, int64_t from_length, const uint8_t* to,
                      int64_t to_length, rv_pair_callback callback, void* context, char** error) {
  return Guard(error, [&]() -> int32_t {
    const Slice first(reinterpret_cast<const char*>(from), static_cast<size_t>(from_length));
    const Slice last(reinterpret_cast<const char*>(to), static_cast<size_t>(to_length));
    return Finish(pairs->Scan(static_cast<size_t>(family), from == nullptr ? nullptr : &first,
                              to == nullptr ? nullptr : &last, callback, context),
                  *pairs->log, error);
  });
}

int32_t rv_pairs_put(rv_pairs* pairs, int32_t family, const uint8_t* key, int64_t key_length, const uint8_t* value,
                     int64_t value_length, char** error) {
  return Guard(error, [&]() -> int32_t {
    if (family < 0 || static_cast<size_t>(family) >= pairs->families.size())
      return Fail(RV_INVALID, "There is no such column family", error);
    return Finish(pairs->batch.Put(pairs->families[static_cast<size_t>(family)],
                                   Slice(reinterpret_cast<const char*>(key), static_cast<size_t>(key_length)),
                                   Slice(reinterpret_cast<const char*>(value), static_cast<size_t>(value_length))),
                  error);
  });
}

int32_t rv_pairs_write(rv_pairs* pairs, int32_t sync, char** error) {
  return Guard(error, [&]() -> int32_t {
    rocksdb::WriteOptions options;
    options.sync = sync != 0;
    const Status status = pairs->db->Write(options, &pairs->batch);
    if (status.ok()) pairs->batch.Clear();
    return Finish(status, *pairs->log, error);
  });
}

}  // extern "C"
