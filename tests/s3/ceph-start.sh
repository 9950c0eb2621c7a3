#!/usr/bin/env bash
# Starts a real S3 server on loopback: Ceph's RADOS Gateway with one monitor and one object daemon, no systemd, no manager.
# usage: ceph-start.sh DIR     prints endpoint=, access_key=, secret_key=, region=; stop it with ceph-stop.sh DIR
# env:   STORE=memstore|bluestore   memstore (default) forgets with its process; bluestore survives SIGKILL
#        KEEP=1                     starts an earlier bluestore run again, with its data
#        RGW_PORT=7480 MON_PORT=16789 ACCESS_KEY SECRET_KEY
# needs: the Debian packages ceph-mon ceph-osd radosgw (build.sh test installs them)
set -euo pipefail
dir=$(realpath -m "${1:?usage: ceph-start.sh DIR}")
store=${STORE:-memstore}
rgw_port=${RGW_PORT:-7480}
mon_port=${MON_PORT:-16789}
access_key=${ACCESS_KEY:-testaccesskey}
secret_key=${SECRET_KEY:-testsecretkey0123456789}
export CEPH_CONF=$dir/ceph.conf
seconds_to_wait=60

say_and_exit() { echo "ceph-start.sh: $*" >&2; exit 1; }

for program in ceph-mon ceph-osd radosgw monmaptool; do
  command -v "$program" > /dev/null || say_and_exit "$program is missing: apt-get install ceph-mon ceph-osd radosgw"
done
for pid_file in "$dir"/run/*.pid; do
  [ -s "$pid_file" ] && grep -qs "^State:.[^Z]" "/proc/$(cat "$pid_file")/status" && say_and_exit "already running, see $pid_file"
done
for port in "$rgw_port" "$mon_port"; do
  ! (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null || say_and_exit "port $port is in use; choose others with RGW_PORT and MON_PORT"
done

fresh=1
[ "${KEEP:-}" = 1 ] && [ -s "$CEPH_CONF" ] && fresh=

# No authentication inside (cephx off), so messages go unencrypted too: the gateway would wait forever for "secure" ones.
# Without tcp_nodelay a GET takes 44 ms.
write_configuration() {
  cat > "$CEPH_CONF" <<CONF
[global]
fsid = $(cat /proc/sys/kernel/random/uuid)
mon host = [v2:127.0.0.1:$mon_port/0]
mon initial members = a
auth cluster required = none
auth service required = none
auth client required = none
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv4 = true
ms bind ipv6 = false
ms bind msgr1 = false
ms mon client mode = crc secure
run dir = $dir/run
admin socket = $dir/run/\$name.\$pid.asok
log file = $dir/log/\$name.log
pid file = $dir/run/\$type.\$id.pid
crash dir = $dir/log
keyring = /dev/null
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
auth allow insecure global id reclaim = false
mon max pg per osd = 1000
mon data avail warn = 1
mon data avail crit = 1
paxos propose interval = 0.05
paxos min wait = 0.01
[client]
log file = $dir/log/\$name.log
[mon.a]
mon data = $dir/mon
host = localhost
[osd.0]
osd data = $dir/osd
osd journal = $dir/osd/journal
osd objectstore = $store
osd op num shards = 2
osd op num threads per shard = 1
osd max object name len = 1024
osd max object namespace len = 64
osd class dir = /usr/lib/$(uname -m)-linux-gnu/rados-classes
memstore device bytes = $((8 << 30))
bluestore block create = true
bluestore block size = $((16 << 30))
bluestore cache autotune = false
bluestore cache size = $((256 << 20))
osd numa auto affinity = false
[client.rgw.a]
rgw frontends = beast endpoint=127.0.0.1:$rgw_port tcp_nodelay=1
rgw data = $dir/run
rgw rados pool pg num min = 1
rgw enable usage log = false
rgw enable ops log = false
rgw gc obj min wait = 60
rgw gc processor period = 60
rgw gc processor max time = 60
rgw dynamic resharding = false
rgw override bucket index max shards = 1
rgw run sync thread = false
rgw enable apis = s3, admin
rgw s3 auth use keystone = false
rgw num control oids = 1
rgw thread pool size = 64
CONF
}

start_monitor() {
  if [ $fresh ]; then
    monmaptool --create --fsid "$(sed -n 's/^fsid = //p' "$CEPH_CONF")" --addv a "[v2:127.0.0.1:$mon_port]" --clobber "$dir/monmap"
    ceph-mon -c "$CEPH_CONF" -i a --mkfs --monmap "$dir/monmap" --keyring /dev/null
  fi
  ceph-mon -c "$CEPH_CONF" -i a
}

start_object_daemon() {
  if [ $fresh ]; then
    local id
    id=$(cat /proc/sys/kernel/random/uuid)
    ceph -c "$CEPH_CONF" --connect-timeout 20 osd new "$id"
    ceph-osd -c "$CEPH_CONF" -i 0 --mkfs --osd-uuid "$id"
  else
    # After a SIGKILL the map still says "up" at the dead address, on which the gateway could hang.
    ceph -c "$CEPH_CONF" --connect-timeout 20 osd down 0 || true
  fi
  ceph-osd -c "$CEPH_CONF" -i 0
}

if [ $fresh ]; then
  rm -rf "$dir"
  mkdir -p "$dir"/{run,log,mon,osd}
  write_configuration
fi
{
  start_monitor
  start_object_daemon
  [ ! $fresh ] || radosgw-admin -c "$CEPH_CONF" -n client.rgw.a user create --uid=test --display-name=test \
    --access-key="$access_key" --secret-key="$secret_key"
} > "$dir/log/start.out" 2>&1 < /dev/null || { tail -n 20 "$dir/log/start.out" >&2; say_and_exit "failed, see $dir/log"; }
"$(dirname "$0")/ceph-rgw.sh" start "$dir" "$seconds_to_wait"

echo "endpoint=http://127.0.0.1:$rgw_port"
echo "access_key=$access_key"
echo "secret_key=$secret_key"
echo "region=us-east-1"
