// A RocksDB of anybody's, opened without its application.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "last_words.h"
#include "recorded_files.h"
#include "rocksdb/db.h"
#include "rocksdb/write_batch.h"

struct rv_pairs {
  std::string directory;
  std::shared_ptr<recovery::LastWords> log = std::make_shared<recovery::LastWords>();
  std::shared_ptr<recovery::RecordedFileSystem> system;
  std::unique_ptr<rocksdb::Env> own_env;
  rocksdb::Env* env = nullptr;
  std::unique_ptr<rocksdb::DB> db;
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  rocksdb::WriteBatch batch;

  ~rv_pairs();

  // Also one that another process writes: it is seen as it is at one moment, with all of its column families.
  rocksdb::Status OpenForReading();

  // With the options that its OPTIONS file tells of; made when there is none.
  rocksdb::Status OpenForWriting(rv_files* files);

  // Calls back for each pair of a family in the order of keys, until that returns something else than 0.
  rocksdb::Status Scan(size_t family, const rocksdb::Slice* from, const rocksdb::Slice* to, rv_pair_callback callback,
                       void* context);
};
