#!/bin/sh
# bundle.sh DIR: copies librecovery_native.so and all it needs, except the C and C++ runtimes, into DIR, from where they load
# without anything installed (our DT_RPATH of $ORIGIN is inherited by the rest).
set -eu
[ $# -eq 1 ] || { echo "usage: native/bundle.sh DIR" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
lib=$here/../build/native/librecovery_native.so
[ -e "$lib" ] || "$here/build.sh"
mkdir -p "$1"
cp "$lib" "$1/"
ldd "$lib" | while read -r name arrow path rest; do
  case $name in
    librocksdb.so.*|libgflags.so.*|libsnappy.so.*|libzstd.so.*|liblz4.so.*|libbz2.so.*|libz.so.*)
      [ "$arrow" = "=>" ] && [ -e "$path" ] || { echo "native/bundle.sh: error: $name was not found" >&2; exit 1; }
      cp -L "$path" "$1/$name" ;;
    libstdc++.so.*|libgcc_s.so.*|libm.so.*|libc.so.*|libpthread.so.*|libdl.so.*|linux-vdso.so.*|*/ld-linux*) ;;
    *) echo "native/bundle.sh: error: librecovery_native.so needs $name, which this script does not know" >&2; exit 1 ;;
  esac
done
[ -e "$1/librocksdb.so.7.8" ] || { echo "native/bundle.sh: error: librocksdb.so.7.8 was not copied" >&2; exit 1; }
