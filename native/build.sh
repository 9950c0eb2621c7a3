#!/bin/sh
# build.sh [DIR [MACHINE]]: builds librecovery_native.so into build/native (or DIR), for this machine or for MACHINE (arm64). Safe
# to run several times at once.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/../build/native}
machine=${2:-}
mkdir -p "$out"
out=$(cd "$out" && pwd)
exec 9>"$out/.lock"
flock 9

compiler=g++ package=g++ flags=${CXXFLAGS:-}
if [ "$machine" = arm64 ]; then
  cd "$here/.."
  root=build/root-arm64
  native/root.sh arm64 $root
  libraries=$root/usr/lib/aarch64-linux-gnu
  compiler=aarch64-linux-gnu-g++ package=g++-aarch64-linux-gnu
  flags="$flags -isystem $root/usr/include -L$libraries -Wl,-rpath-link,$libraries:$root/lib/aarch64-linux-gnu"
fi
CXX=${CXX:-$compiler}
command -v "$CXX" >/dev/null || { echo "native/build.sh: error: no C++ compiler ($CXX); on Debian: apt install $package" >&2; exit 1; }
version=$(printf '#include <rocksdb/version.h>\nROCKSDB_MAJOR ROCKSDB_MINOR\n' | "$CXX" $flags -x c++ -E -P - 2>/dev/null | tail -n 1) || version=
case $version in
  "7 8") ;;
  *) echo "native/build.sh: error: RocksDB 7.8's headers are needed (found: ${version:-none}); on Debian 12: apt install librocksdb-dev" >&2; exit 1 ;;
esac

# DT_RPATH (not RUNPATH) is inherited: RocksDB and its libraries are found beside ours when native/bundle.sh put them there.
# A test reads from the file that the flags of hardening took effect.
"$CXX" -std=c++17 -O2 -fPIC -shared -fvisibility=hidden -Wall -Wextra -Werror \
  -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 $flags \
  -o "$out/librecovery_native.so.new" "$here"/*.cc \
  -lrocksdb -Wl,-e,recovery_trial_entry -Wl,-z,relro,-z,now -Wl,--no-undefined -Wl,--disable-new-dtags '-Wl,-rpath,$ORIGIN'
mv "$out/librecovery_native.so.new" "$out/librecovery_native.so"

# RocksDB under the name by which .NET's binding (RocksDbSharp) looks for it: nothing but a reference to the same library,
# ours before it.
echo | "$CXX" -x c - -shared -fPIC -o "$out/librocksdb.so.new" -Wl,--no-as-needed $flags -L"$out" -l:librecovery_native.so -l:librocksdb.so.7.8 \
  -Wl,--disable-new-dtags '-Wl,-rpath,$ORIGIN'
mv "$out/librocksdb.so.new" "$out/librocksdb.so"
