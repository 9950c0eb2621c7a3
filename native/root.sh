#!/bin/sh
# root.sh MACHINE DIR: unpacks the Debian libraries of another machine (arm64) that are compiled against, and what runs there in
# a test, into DIR. Nothing is installed, and apt's own lists stay as they are, so it can be done by anybody. The libraries cannot
# be installed beside this machine's: librocksdb-dev is not marked Multi-Arch.
set -eu
[ $# -eq 2 ] || { echo "usage: native/root.sh MACHINE DIR" >&2; exit 2; }
machine=$1 root=$2
[ ! -e "$root/packages" ] || exit 0
for tool in apt-get dpkg-deb; do
  command -v $tool > /dev/null || { echo "native/root.sh: error: no $tool: this needs Debian" >&2; exit 1; }
done
mkdir -p "$root/apt/lists/partial" "$root/apt/archives/partial"
root=$(cd "$root" && pwd)
apt() {
  apt-get -qq -o "APT::Architecture=$machine" -o "APT::Architectures::=$machine" -o Dir::State::status=/dev/null \
    -o "Dir::State::lists=$root/apt/lists" -o "Dir::Cache=$root/apt" -o "APT::Sandbox::User=$(id -un)" -o Debug::NoLocking=1 "$@"
}
apt update
apt install -y --no-install-recommends --download-only librocksdb7.8 sqlite3 libssl3 > /dev/null
(cd "$root/apt/archives" && apt download librocksdb-dev)
for package in "$root"/apt/archives/*.deb; do dpkg-deb -x "$package" "$root"; done
# What was unpacked stands in a file, which also says that all of it was.
for package in "$root"/apt/archives/*.deb; do dpkg-deb -W --showformat='${Package} ${Version}\n' "$package"; done > "$root/packages.new"
rm -r "$root/apt"
mv "$root/packages.new" "$root/packages"
