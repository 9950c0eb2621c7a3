#pragma once

#include "last_words.h"
#include "recovery_native.h"
#include "rocksdb/options.h"

namespace recovery {

rocksdb::Options MakeOptions(const rv_options& given, std::shared_ptr<LastWords> log);

}  // namespace recovery
