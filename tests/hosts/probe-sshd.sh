#!/bin/sh
# An SSH server of Debian 13 in a root of its own, on a port of the loopback, in namespaces that vanish with it.
# Usage: probe-sshd.sh LOWER WORK   WORK/upper holds what the test put on top: settings, keys, accounts' files
set -eu
lower=$1 work=$2
mkdir -p "$work/work" "$work/root"
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$work/upper,workdir=$work/work" "$work/root"
mount -t proc proc "$work/root/proc"
mount --bind /dev "$work/root/dev"
mount -t tmpfs -o mode=0755 tmpfs "$work/root/run"
mkdir -p "$work/root/run/sshd"
inside() {
  env -i PATH=/usr/sbin:/usr/bin chroot "$work/root" "$@"
}
for login in alice bob; do
  inside useradd --create-home --shell /bin/sh "$login"
done
inside useradd --system --no-create-home --home-dir /nonexistent --shell /bin/sh --password '*' socle-audit
inside chpasswd </dev/stdin
inside chown -R alice:alice /home/alice
exec env -i PATH=/usr/sbin:/usr/bin chroot "$work/root" /usr/sbin/sshd -D -e -f /etc/ssh/probe_config
