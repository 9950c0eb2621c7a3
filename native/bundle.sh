#!/bin/sh
# bundle.sh DIR [MACHINE]: copies librecovery_native.so and all it needs, except the C and C++ runtimes, into DIR, from where they
# load without anything installed (our DT_RPATH of $ORIGIN is inherited by the rest). For this machine, or for MACHINE (arm64).
set -eu
case $# in 1 | 2) ;; *) echo "usage: native/bundle.sh DIR [MACHINE]" >&2; exit 2 ;; esac
here=$(cd "$(dirname "$0")" && pwd)
dir=$1 machine=${2:-}
built=$here/../build/native${machine:+-$machine}
lib=$built/librecovery_native.so
[ -e "$lib" ] || "$here/build.sh" "$built" $machine
mkdir -p "$dir"
cp "$lib" "$dir/"

# The libraries that a library needs, as "name path" each; no loader can tell of another machine's.
needed() {
  if [ -z "$machine" ]; then
    ldd "$1" | while read -r name arrow path rest; do
      [ "$arrow" != "=>" ] || echo "$name $path"
    done
  else
    root=$here/../build/root-$machine
    readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | while read -r name; do
      echo "$name $(ls "$root"/usr/lib/*/"$name" "$root"/lib/*/"$name" 2> /dev/null | head -n 1)"
    done
  fi
}

bundle() {
  needed "$1" | while read -r name path; do
    case $name in
      librocksdb.so.*|libgflags.so.*|libsnappy.so.*|libzstd.so.*|liblz4.so.*|libbz2.so.*|libz.so.*)
        [ ! -e "$dir/$name" ] || continue
        [ -e "$path" ] || { echo "native/bundle.sh: error: $name was not found" >&2; exit 1; }
        cp -L "$path" "$dir/$name"
        [ -z "$machine" ] || bundle "$path" ;;
      libstdc++.so.*|libgcc_s.so.*|libm.so.*|libc.so.*|libpthread.so.*|libdl.so.*|linux-vdso.so.*|*ld-linux*) ;;
      *) echo "native/bundle.sh: error: $1 needs $name, which this script does not know" >&2; exit 1 ;;
    esac
  done
}
bundle "$lib"
[ -e "$dir/librocksdb.so.7.8" ] || { echo "native/bundle.sh: error: librocksdb.so.7.8 was not copied" >&2; exit 1; }
