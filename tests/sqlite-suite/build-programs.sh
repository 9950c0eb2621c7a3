#!/usr/bin/env bash
# Fetches SQLite's source from Debian's source package and builds its test programs, each able to take its default VFS from a
# loadable extension (default_vfs.c): testfixture, speedtest1, kvtest, threadtest3, mptester.
# Everything lands in build/sqlite/ (src/ the source, bin/ the build). Done once: a stamp over the inputs says when again.
# usage: build-programs.sh            needs: tcl-dev dpkg-dev gcc make zlib1g-dev
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=$root/build/sqlite
inputs=(build-programs.sh default_vfs.c file_bridge.c suite.patch)
stamp=$(cd "$here" && cat "${inputs[@]}" | sha256sum | cut -d' ' -f1)
[ "$(cat "$out/stamp" 2>/dev/null || true)" = "$stamp" ] && exit 0

programs=(testfixture speedtest1 kvtest threadtest3 mptester)
log=$out/build.log

# Debian's source package, through an apt configuration of our own: the machine's sources stay as they are.
fetch() {
  local apt=$out/apt source
  rm -rf "$apt"
  mkdir -p "$apt"/{sources,lists/partial,cache/archives/partial}
  for source in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do
    [ -f "$source" ] || continue
    case $source in
      *.sources) sed 's/^Types:.*/Types: deb-src/' "$source" > "$apt/sources/source.sources" ;;
      *) sed -n 's/^deb /deb-src /p' "$source" > "$apt/sources/source.list" ;;
    esac
  done
  cat > "$apt/apt.conf" <<CONF
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$apt/sources";
Dir::State::lists "$apt/lists";
Dir::Cache "$apt/cache";
APT::Sandbox::User "";
CONF
  export APT_CONFIG=$apt/apt.conf
  apt-get -qq update
  rm -rf "$out"/sqlite3_* "$out/src"
  (cd "$out" && apt-get -qq source --download-only sqlite3 && dpkg-source --no-check -x sqlite3_*.dsc src)
  unset APT_CONFIG
}

compile() {
  local cflags="-O2 -g1 -DSQLITE_EXTRA_INIT=default_vfs_init"
  rm -rf "$out/bin"
  mkdir -p "$out/bin"
  cd "$out/bin"
  "$out/src/configure" --enable-all --disable-shared CFLAGS="$cflags"
  gcc -O2 -g1 -Wall -Wextra -Werror -c "$here/default_vfs.c" -I"$out/src/src" -o default_vfs.o
  # Every program links the hook; testfixture also gets the commands that reach files inside the VFS.
  sed -i -e "s|^TLIBS = |TLIBS = $out/bin/default_vfs.o |" \
         -e "s|^\(TESTFIXTURE_SRC = \)|\1$here/file_bridge.c |" \
         -e 's|-DTCLSH_INIT_PROC=sqlite3TestInit|-DTCLSH_INIT_PROC=bridgeTestInit|' Makefile
  grep -q default_vfs.o Makefile && grep -q file_bridge.c Makefile && grep -q bridgeTestInit Makefile
  # libtool's ".lo" programs (mptester, threadtest3) and the shell take TLIBS too.
  make -j"$(nproc)" sqlite3.c sqlite3.h
  make -j"$(nproc)" "${programs[@]}"
}

mkdir -p "$out"
echo "SQLite's test programs: fetching the source and building (once, about 3 minutes; log: $log)"
rm -f "$out/stamp"
if ! { fetch && patch -p1 -d "$out/src" < "$here/suite.patch" && (compile); } > "$log" 2>&1; then
  tail -n 40 "$log" >&2
  echo "build-programs.sh: failed, the whole log is $log" >&2
  exit 1
fi
for program in "${programs[@]}"; do
  [ -x "$out/bin/$program" ] || { echo "build-programs.sh: $program was not built, see $log" >&2; exit 1; }
done
echo "$stamp" > "$out/stamp"
