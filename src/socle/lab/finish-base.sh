#!/bin/sh
# Last step of the base root: the account of the deploying machine, and nothing of the build machine left.
# Usage: finish-base.sh ROOT USER
set -eu
root=$1 user=$2

chroot "$root" useradd --create-home --uid 1000 --shell /bin/bash "$user"
printf '%s ALL=(ALL) NOPASSWD: ALL\n' "$user" >"$root/etc/sudoers.d/deploy"
chmod 0440 "$root/etc/sudoers.d/deploy"
cat >"$root/etc/ssh/sshd_config.d/10-lab.conf" <<'SSHD'
PasswordAuthentication no
KbdInteractiveAuthentication no
UseDNS no
SSHD
# Dozens of short sessions come at once from the deploying machine.
printf 'MaxStartups 100\nMaxSessions 100\n' >>"$root/etc/ssh/sshd_config.d/10-lab.conf"
# A stop waits for no service longer than this, unless the unit says so.
mkdir -p "$root/etc/systemd/system.conf.d"
printf '[Manager]\nDefaultTimeoutStopSec=5s\n' >"$root/etc/systemd/system.conf.d/lab.conf"
rm -f "$root"/etc/ssh/ssh_host_* "$root/etc/apt/apt.conf.d/99mmdebstrap" "$root/etc/machine-id" "$root/etc/hostname"
# Empty, so that a look-up fails at once: nodes have no route outside.
rm -f "$root/etc/resolv.conf"
# The console is a log: nobody logs in there.
chroot "$root" systemctl mask console-getty.service
: >"$root/etc/resolv.conf"
: >"$root/etc/hosts"
: >"$root/etc/machine-id"
