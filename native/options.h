#pragma once

#include "recovery_native.h"
#include "rocksdb/options.h"

namespace recovery {

rocksdb::Options MakeOptions(const rv_options& given);

}  // namespace recovery
