#!/bin/sh
# Become a node: enter its cgroup, mount its disk where only it sees it, then boot.
# Usage: boot-node.sh CGROUP ROOT OVERLAY NSPAWN-ARGUMENT...
#   CGROUP   directory of the node's cgroup; empty when systemd has already made one
#   ROOT     where to mount the disk, OVERLAY its mount options
set -eu
cgroup=$1 root=$2 overlay=$3
shift 3
if [ -n "$cgroup" ]; then
  echo $$ >"$cgroup/cgroup.procs"
fi
mount -t overlay overlay -o "$overlay" "$root"
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
exec systemd-nspawn --directory="$root" "$@"
