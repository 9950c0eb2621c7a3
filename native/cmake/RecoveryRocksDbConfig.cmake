# find_package(RecoveryRocksDb): the target RecoveryRocksDb::recovery_rocksdb, with the header, our library, and
# RocksDB's shared library, which both must use. This file lies in lib/cmake/RecoveryRocksDb of what was installed; see
# docs/OPERATIONS.md.
get_filename_component(_recovery_root "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

find_path(RecoveryRocksDb_ROCKSDB_INCLUDE rocksdb/version.h)
find_library(RecoveryRocksDb_ROCKSDB NAMES librocksdb.so)
set(_recovery_why "")
if(NOT RecoveryRocksDb_ROCKSDB_INCLUDE OR NOT RecoveryRocksDb_ROCKSDB)
  set(_recovery_why "RocksDB's headers and shared library were not found; on Debian 12: apt install librocksdb-dev")
else()
  file(STRINGS "${RecoveryRocksDb_ROCKSDB_INCLUDE}/rocksdb/version.h" _recovery_version
    REGEX "define ROCKSDB_(MAJOR|MINOR) ")
  if(NOT _recovery_version MATCHES "MAJOR 7.*MINOR 8")
    set(_recovery_why "RocksDB 7.8 is needed, and ${RecoveryRocksDb_ROCKSDB_INCLUDE}/rocksdb/version.h is of another")
  endif()
endif()
if(_recovery_why)
  set(RecoveryRocksDb_FOUND FALSE)
  set(RecoveryRocksDb_NOT_FOUND_MESSAGE "${_recovery_why}")
  return()
endif()

if(NOT TARGET RecoveryRocksDb::recovery_rocksdb)
  add_library(RecoveryRocksDb::recovery_rocksdb SHARED IMPORTED)
  set_target_properties(RecoveryRocksDb::recovery_rocksdb PROPERTIES
    IMPORTED_LOCATION "${_recovery_root}/librecovery_rocksdb.so"
    IMPORTED_SONAME librecovery_rocksdb.so
    INTERFACE_INCLUDE_DIRECTORIES "${_recovery_root}/include;${RecoveryRocksDb_ROCKSDB_INCLUDE}"
    INTERFACE_COMPILE_FEATURES cxx_std_17
    INTERFACE_LINK_LIBRARIES "${RecoveryRocksDb_ROCKSDB}")
endif()
unset(_recovery_root)
unset(_recovery_version)
unset(_recovery_why)
