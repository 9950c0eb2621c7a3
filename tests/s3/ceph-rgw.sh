#!/usr/bin/env bash
# Stops (SIGKILL) or starts only the gateway of what ceph-start.sh started: an outage, with the objects kept.
# usage: ceph-rgw.sh stop|start DIR [SECONDS TO WAIT]
set -euo pipefail
dir=$(realpath -m "${2:?usage: ceph-rgw.sh stop|start DIR}")
pid_file=$dir/run/client.rgw.a.pid

# One HTTP request by hand: no client to install.
answers() {
  local status
  exec 3<> "/dev/tcp/127.0.0.1/$1" || return 1
  printf 'GET / HTTP/1.0\r\n\r\n' >&3
  read -r -t 2 status <&3 || status=
  exec 3>&-
  [[ $status == *" 200 "* ]]
}

case ${1:-} in
  stop)
    pid=$(cat "$pid_file")
    # Only a process that was started for this directory: pids are used again.
    tr '\0' ' ' < "/proc/$pid/cmdline" | grep -qF -- "-c $dir/ceph.conf" && kill -KILL "$pid"
    rm -f "$pid_file"
    ;;
  start)
    radosgw -c "$dir/ceph.conf" -n client.rgw.a >> "$dir/log/rgw.out" 2>&1 < /dev/null
    port=$(sed -n 's/.*endpoint=127.0.0.1:\([0-9]*\).*/\1/p' "$dir/ceph.conf")
    for _ in $(seq $((${3:-60} * 20))); do
      (answers "$port") 2> /dev/null && exit 0
      sleep 0.05
    done
    echo "ceph-rgw.sh: the gateway does not answer on port $port, see $dir/log" >&2
    exit 1
    ;;
  *)
    echo "usage: ceph-rgw.sh stop|start DIR" >&2
    exit 2
    ;;
esac
