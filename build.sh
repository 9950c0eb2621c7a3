#!/usr/bin/env bash
# Bootstraps the build (packages, Cake) and hands over to build.cake, where the targets are.
set -euo pipefail
cd "$(dirname "$0")"
lock_sdk=10.0.401

help() {
  cat <<'TEXT'
usage: ./build.sh TARGET [options]

  demo      a writer is killed, its machine lost, and everything restored: in a few lines
  build     everything, native library included
  test      all tests; ends with "N passed, N failed"
              --only=PART[,PART]   parts: format unit dist suite
              --filter=EXPRESSION  of the unit tests, as `dotnet test --filter` takes it
  soak      random tests with fresh seeds, kills and big databases, for long; ends with "N passed, N failed"
              --minutes=N          for how long (default 30; the big ones come on top)
              --only=NAME[,NAME]   of RecoveryLog PageStore Vfs Tail Cli Dist, and big
              --filter=EXPRESSION  of the random tests, as `dotnet test --filter` takes it
  suite     SQLite's own test suite with this VFS as the default one
              --setting=1|2|3|all  1 isolation=locking journal=plain, 2 defaults, 3 journal_mode=wal (default: all)
              --fast               the subset that `test` runs
              --files=PATTERN      only files whose path matches (shell pattern)
              -j N                 files at a time (default: one a core)
  bench     speed against stock SQLite; a table, and dist/bench.json
              --quick              small sizes, two minutes
              --only=NAME[,NAME]   only these rows, or those whose names begin so (remote)
  dist      what a user installs, under dist/: extension, libraries, programs, NuGet packages; and recovery.cdx.json, the bill of materials
              --arch arm64         for that machine, by cross compilers, under dist/linux-arm64, tried under qemu; its packages are for both
  format    formats C# and C++; --check only looks, also at the width of code and documents

With --locked, any target restores exactly the packages that the packages.lock.json files name, or fails.

On Debian 12, missing packages are installed when run as root, and named otherwise.
TEXT
}

target=${1:-help}
case $target in
  help | --help | -h) help; exit 0 ;;
  demo | build | test | soak | suite | bench | dist | format) shift ;;
  *) echo "build.sh: no target '$target'" >&2; help >&2; exit 2 ;;
esac

# Options for Cake: --name=value; `-j N` becomes --jobs=N, a bare --flag becomes --flag=true.
arguments=()
while [ $# -gt 0 ]; do
  case $1 in
    -j) arguments+=("--jobs=${2:?-j takes a number}"); shift ;;
    -j*) arguments+=("--jobs=${1#-j}") ;;
    --arch) arguments+=("--arch=${2:?--arch takes x64 or arm64}"); shift ;;
    --locked) export RECOVERY_LOCKED=true ;;
    --*=*) arguments+=("$1") ;;
    --*) arguments+=("$1=true") ;;
    *) echo "build.sh: what is '$1'? See ./build.sh --help" >&2; exit 2 ;;
  esac
  shift
done

arch=x64
for argument in "${arguments[@]}"; do
  case $argument in
    --arch=x64 | --arch=arm64) arch=${argument#--arch=} ;;
    --arch=*) echo "build.sh: --arch takes x64 or arm64, not '${argument#--arch=}'" >&2; exit 2 ;;
  esac
done
if [ "$arch" != x64 ] && [ "$target" != dist ]; then
  echo "build.sh: --arch is an option of dist" >&2
  exit 2
fi

# need PACKAGE PROBE: remembers PACKAGE as missing unless PROBE, a command or a file, is there.
missing=()
need() {
  case $2 in
    /*) [ -e "$2" ] ;;
    *) command -v "$2" > /dev/null ;;
  esac || missing+=("$1")
}

need g++ g++
need librocksdb-dev /usr/include/rocksdb/c.h
need libzstd-dev /usr/include/zstd.h
need liblz4-dev /usr/include/lz4.h
need zlib1g-dev /usr/include/zlib.h
need ca-certificates /etc/ssl/certs/ca-certificates.crt
if [ "$arch" = arm64 ]; then
  need g++-aarch64-linux-gnu aarch64-linux-gnu-g++
  need qemu-user-static qemu-aarch64-static
  need binutils readelf
fi
case $target in
  dist | test | soak | suite | bench)
    need libsqlite3-dev /usr/include/sqlite3ext.h
    ;;&
  test | suite | bench)
    need make make
    need dpkg-dev dpkg-source
    need tcl-dev /usr/include/tcl/tcl.h
    need tcl tclsh
    ;;&
  test | soak | suite)
    need python3 python3
    ;;&
  test | soak)
    need rocksdb-tools ldb
    need cmake cmake
    need sqlite3 sqlite3
    need sqlite3-tools sqldiff
    need zsh zsh
    need fish fish
    need systemd systemd-analyze
    need mount mount
    need e2fsprogs /usr/sbin/mkfs.ext4
    need xfsprogs /usr/sbin/mkfs.xfs
    need nodejs node
    need golang-go go
    need golang-github-mattn-go-sqlite3-dev /usr/share/gocode/src/github.com/mattn/go-sqlite3/sqlite3.go
    need libnode-dev /usr/include/node/node.h
    need npm npm
    need libssl-dev /usr/include/openssl/evp.h
    need clang-format clang-format
    need ceph-mon ceph-mon
    need ceph-osd ceph-osd
    need radosgw radosgw
    ;;
  format)
    need clang-format clang-format
    ;;
esac
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
    echo "build.sh: these Debian packages are missing and this is not root, who would install them:" >&2
    echo "  apt-get install ${missing[*]}" >&2
    exit 1
  fi
  echo "build.sh: installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update
  apt-get -qq install -y --no-install-recommends "${missing[@]}" > /dev/null
fi
# promtool alone, which checks an example: its package would start a server on this machine.
if [ "$target" = test ] && ! command -v promtool > /dev/null && [ ! -x build/tools/promtool ] && command -v apt-get > /dev/null; then
  mkdir -p build/tools
  (cd build/tools && apt-get -qq download prometheus && dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x --strip-components=3 ./usr/bin/promtool; rm -f prometheus_*.deb) \
    > build/tools/promtool.log 2>&1 || echo "build.sh: no promtool ($(tail -1 build/tools/promtool.log)): alert rules are not checked by it"
fi

if ! command -v dotnet > /dev/null || ! dotnet --list-sdks | grep -q '^10\.'; then
  echo "build.sh: the .NET SDK 10.0 is missing. Install it (https://learn.microsoft.com/dotnet/core/install/linux-debian), then run this again." >&2
  exit 1
fi
# The compiler for NativeAOT is a package whose version follows the SDK's.
if [ -n "${RECOVERY_LOCKED:-}" ] && [ "$(dotnet --version)" != "$lock_sdk" ]; then
  echo "build.sh: the lock files were made with SDK $lock_sdk, this is $(dotnet --version): restoring without --locked"
  unset RECOVERY_LOCKED
fi
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
# Servers that outlive the build would keep a CI job's output open.
[ -z "${CI:-}" ] || export MSBUILDDISABLENODEREUSE=1 UseSharedCompilation=false

[ -t 1 ] || export NO_COLOR=1

mkdir -p build
dotnet tool restore > build/tool-restore.log 2>&1 || { cat build/tool-restore.log >&2; exit 1; }
exec dotnet cake build.cake --verbosity=minimal --target="$target" "${arguments[@]}"
