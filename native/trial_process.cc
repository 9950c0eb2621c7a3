// The child of a trial: opens and reads files that come from somewhere else, with links to them.
//
// All is read twice, before and after a compaction, since what a MANIFEST says may come out only then. Where blobs are
// not here yet, their keys are read, by the check of all tables and by the compaction, and no blob. Where the host has
// proved that all blobs are right (BlobProof), one in some dozens is read. Its entry is recovery_trial_entry (see
// build.sh).
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "calls.h"
#include "crc32c.h"
#include "options.h"
#include "pairs.h"
#include "recorded_files.h"
#include "rocksdb/db.h"
#include "scan_reads.h"
#include "trial.h"

using recovery::kTrialDepths;
using recovery::kTrialPassed;
using rocksdb::DB;
using rocksdb::Slice;
using rocksdb::Status;

namespace {

namespace fs = std::filesystem;

// A file may claim that something in it is as long as it likes.
constexpr rlim_t kAddressSpaceMax = rlim_t{3} << 30, kAnyAddressSpaceMax = rlim_t{16} << 30;
constexpr size_t kValueMax = 1 << 20;  // a page has 64 KiB at most
constexpr int kReadSinglyEvery = 16;
constexpr uint64_t kSomeEvery = 64;
constexpr unsigned kThreadsMax = 4;

// Links, since RocksDB changes neither tables nor blobs; the rest is small, and copied.
void LinkFiles(const fs::path& from, const fs::path& to) {
  fs::create_directory(to);
  for (const auto& entry : fs::directory_iterator(from)) {
    const fs::path& path = entry.path();
    std::error_code failed;
    if (path.extension() == ".sst" || path.extension() == ".blob")
      fs::create_hard_link(path, to / path.filename(), failed);
    else
      failed = std::make_error_code(std::errc::operation_not_supported);
    if (failed) fs::copy_file(path, to / path.filename());
  }
}

// What the MANIFEST says of the tables' keys is believed by whoever picks tables to compact, and asserted there.
Status CheckRanges(DB* db) {
  std::vector<rocksdb::LiveFileMetaData> tables;
  db->GetLiveFilesMetaData(&tables);
  for (const auto& table : tables)
    if (table.smallestkey > table.largestkey || table.smallest_seqno > table.largest_seqno)
      return Status::Corruption("The MANIFEST has the keys of a table in no order", table.name);
  return Status::OK();
}

// What divides the keys into a few parts with about as many tables each.
std::vector<std::string> Borders(DB* db, size_t parts) {
  std::vector<rocksdb::LiveFileMetaData> tables;
  db->GetLiveFilesMetaData(&tables);
  std::vector<std::string> firsts;
  for (const auto& table : tables) firsts.push_back(table.smallestkey);
  std::sort(firsts.begin(), firsts.end());
  std::vector<std::string> borders;
  for (size_t part = 1; part < parts && !firsts.empty(); part++) {
    const std::string& border = firsts[part * firsts.size() / parts];
    if (borders.empty() || borders.back() < border) borders.push_back(border);
  }
  return borders;
}

// From one border to the next; nullptr is the end.
Status ReadPart(DB* db, const std::string* from, const std::string* to) {
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  const Slice end = to == nullptr ? Slice() : Slice(*to);
  if (to != nullptr) options.iterate_upper_bound = &end;
  // Neighbours take one read: most of them lie in a blob file as they do in the order of keys.
  recovery::ScanReads reads(std::numeric_limits<uint32_t>::max());
  std::unique_ptr<rocksdb::Iterator> all(db->NewIterator(options));
  std::string value;
  int count = 0;
  for (from == nullptr ? all->SeekToFirst() : all->Seek(*from); all->Valid(); all->Next()) {
    if (all->key().size() != 8) return Status::Corruption("A key is not 8 bytes long");
    if (all->value().size() > kValueMax) return Status::Corruption("A page is too long");
    if (count++ % kReadSinglyEvery != 0) continue;
    Status status = db->Get(options, all->key(), &value);
    if (!status.ok() && !status.IsNotFound()) return status;
  }
  return all->status();
}

// On a few threads: whoever restores waits for this.
Status ReadAll(DB* db) {
  const std::vector<std::string> borders =
      Borders(db, std::clamp(std::thread::hardware_concurrency(), 1U, kThreadsMax));
  std::vector<Status> done(borders.size() + 1);
  std::vector<std::thread> threads;
  for (size_t part = 0; part < done.size(); part++) {
    threads.emplace_back([&, part] {
      done[part] =
          ReadPart(db, part == 0 ? nullptr : &borders[part - 1], part < borders.size() ? &borders[part] : nullptr);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Status& status : done)
    if (!status.ok()) return status;
  return Status::OK();
}

// The first page of every database, and one of so many after it.
Status ReadSome(DB* db) {
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  std::unique_ptr<rocksdb::Iterator> all(db->NewIterator(options));
  std::string value;
  for (all->SeekToFirst(); all->Valid();) {
    if (all->key().size() != sizeof(uint64_t)) return Status::Corruption("A key is not 8 bytes long");
    uint64_t key;
    memcpy(&key, all->key().data(), sizeof(key));
    Status status = db->Get(options, all->key(), &value);
    if (!status.ok() && !status.IsNotFound()) return status;
    key = __builtin_bswap64(key);
    if (key > std::numeric_limits<uint64_t>::max() - kSomeEvery) break;
    key = __builtin_bswap64(key + kSomeEvery);
    all->Seek(Slice(reinterpret_cast<const char*>(&key), sizeof(key)));
  }
  return all->status();
}

Status Read(DB* db, int depth) {
  if (depth == RV_TRIAL_KEYS) return Status::OK();
  return depth == RV_TRIAL_SOME ? ReadSome(db) : ReadAll(db);
}

// Overwrites everything: the counts of garbage that the MANIFEST has meet the files'.
Status DropAll(DB* db) {
  const Slice first("\0", 1), last("\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9);
  rocksdb::WriteOptions options;
  options.disableWAL = true;
  Status status = db->DeleteRange(options, db->DefaultColumnFamily(), first, last);
  if (status.ok()) status = db->Flush(rocksdb::FlushOptions());
  return status.ok() ? db->CompactRange(rocksdb::CompactRangeOptions(), nullptr, nullptr) : status;
}

Status UseAll(const std::string& directory, int depth) {
  rv_options given{};
  given.block_cache_bytes = 4 << 20;
  given.write_buffer_bytes = 4 << 20;
  rocksdb::Options options = recovery::MakeOptions(given, std::make_shared<recovery::LastWords>());
  auto files = std::make_shared<recovery::RecordedFileSystem>(nullptr, nullptr, false);
  std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(files);
  options.env = env.get();
  DB* opened = nullptr;
  Status status = DB::Open(options, directory, &opened);
  const std::unique_ptr<DB> db(opened);
  rocksdb::TablePropertiesCollection tables;
  if (status.ok()) status = CheckRanges(db.get());
  if (status.ok()) status = db->GetPropertiesOfAllTables(&tables);
  if (status.ok()) status = db->VerifyChecksum();
  if (status.ok()) status = Read(db.get(), depth);
  if (status.ok()) status = db->CompactRange(rocksdb::CompactRangeOptions(), nullptr, nullptr);
  if (status.ok()) status = Read(db.get(), depth);
  return status.ok() ? DropAll(db.get()) : status;
}

// Somebody's RocksDB, as whoever opens it to read it does. What only its application knows, its order of keys and how
// it merges values, is missing here: then it is opened no further, and that is no damage.
Status ReadAny(const std::string& directory) {
  rv_pairs pairs;
  pairs.directory = directory;
  Status status = pairs.OpenForReading();
  if (!status.ok()) return status.IsInvalidArgument() ? Status::OK() : status;
  status = pairs.db->VerifyChecksum();
  const rv_pair_callback ignored = [](void*, const uint8_t*, int64_t, const uint8_t*, int64_t) { return 0; };
  for (size_t family = 0; status.ok() && family < pairs.families.size(); family++) {
    status = pairs.Scan(family, nullptr, nullptr, ignored, nullptr);
    if (status.IsInvalidArgument()) status = Status::OK();
  }
  return status;
}

[[noreturn]] void Try(const char* from, const char* to, int depth) {
  const rlim_t most = to == nullptr ? kAnyAddressSpaceMax : kAddressSpaceMax;
  const rlimit none{0, 0}, some{most, most};
  setrlimit(RLIMIT_CORE, &none);
  setrlimit(RLIMIT_AS, &some);
  std::string said;
  try {
    Status status;
    if (to == nullptr) {
      status = ReadAny(from);
    } else {
      LinkFiles(from, to);
      status = UseAll(to, depth);
    }
    said = status.ok() ? kTrialPassed : status.ToString();
  } catch (const std::exception& e) {
    said = e.what();
  } catch (...) {
    said = "an exception of an unknown type";
  }
  if (write(STDOUT_FILENO, said.data(), said.size()) < 0) _exit(1);
  _exit(0);
}

}  // namespace

extern "C" {

__attribute__((visibility("hidden"), noreturn)) void recovery_trial_main(const long* stack) {
  const long count = stack[0];
  char* const* arguments = reinterpret_cast<char* const*>(const_cast<long*>(stack + 1));
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (count == 2) Try(arguments[1], nullptr, RV_TRIAL_ALL);
  for (int depth = RV_TRIAL_ALL; count == 4 && depth <= RV_TRIAL_SOME; depth++)
    if (strcmp(arguments[3], kTrialDepths[depth]) == 0) Try(arguments[1], arguments[2], depth);
  fputs(
      "librecovery_native.so is a library. As a program it tries a RocksDB's files, a page store's with TRIAL: "
      "DIRECTORY [TRIAL all|keys|some]\n",
      stderr);
  fprintf(stderr, "CRC-32C %s\n", recovery::Crc32cHasInstruction() ? "by instruction" : "by table");
  _exit(2);
}

}  // extern "C"

// Where the loader jumps to: the stack holds the arguments, and is aligned here.
#if defined(__x86_64__)
asm(".globl recovery_trial_entry\n.hidden recovery_trial_entry\n.type recovery_trial_entry,@function\n"
    "recovery_trial_entry:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall recovery_trial_main\n\thlt\n");
#elif defined(__aarch64__)
asm(".globl recovery_trial_entry\n.hidden recovery_trial_entry\n.type recovery_trial_entry,%function\n"
    "recovery_trial_entry:\n\tmov x29, #0\n\tmov x30, #0\n\tmov x0, sp\n\tbl recovery_trial_main\n\tbrk #0\n");
#endif
