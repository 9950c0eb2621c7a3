#!/usr/bin/env bash
# Stops what ceph-start.sh started, by process id. memstore is killed at once (its data goes with it); bluestore is asked first.
# usage: ceph-stop.sh DIR
set -uo pipefail
dir=$(realpath -m "${1:?usage: ceph-stop.sh DIR}")

# A zombie that waits for init counts as gone.
alive() { [ -e "/proc/$1/stat" ] && ! grep -qs '^State:.Z' "/proc/$1/status"; }

wait_until_gone() {
  local tries
  for tries in $(seq "$2"); do
    alive "$1" || return 0
    sleep 0.02
  done
  return 1
}

for name in client.rgw.a osd.0 mon.a; do
  pid_file=$dir/run/$name.pid
  [ -s "$pid_file" ] || continue
  pid=$(cat "$pid_file")
  # Only a process that was started for this directory: pids are used again.
  if tr '\0' ' ' 2> /dev/null < "/proc/$pid/cmdline" | grep -qF -- "-c $dir/ceph.conf"; then
    if ! grep -qs '^osd objectstore = memstore' "$dir/ceph.conf"; then
      kill -TERM "$pid" && wait_until_gone "$pid" 150
    fi
    kill -KILL "$pid" 2> /dev/null
    wait_until_gone "$pid" 200 || { echo "ceph-stop.sh: process $pid ($name) does not end" >&2; exit 1; }
  fi
  rm -f "$pid_file"
done
rm -f "$dir"/run/*.asok
