#!/bin/sh
# Last step of a machine's root: the deploying account, the network, what GRUB needs; nothing of the build machine left.
# Usage: finish-root.sh ROOT
set -eu
root=$1

chroot "$root" useradd --create-home --uid 1000 --shell /bin/bash socle
printf 'socle ALL=(ALL) NOPASSWD: ALL\n' >"$root/etc/sudoers.d/deploy"
chmod 0440 "$root/etc/sudoers.d/deploy"
mkdir -p "$root/home/socle/.ssh" "$root/boot/grub" "$root/etc/default"
chroot "$root" chown -R socle:socle /home/socle/.ssh
chmod 0700 "$root/home/socle/.ssh"
printf '[Match]\nType=ether\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\n' >"$root/etc/systemd/network/10-machine.network"
chroot "$root" systemctl enable systemd-networkd.service serial-getty@ttyS0.service
# Nothing waits for a network that is up at once.
chroot "$root" systemctl mask systemd-networkd-wait-online.service apt-daily.timer apt-daily-upgrade.timer
printf 'LABEL=machine / ext4 defaults 0 1\n' >"$root/etc/fstab"
printf 'GRUB_CMDLINE_LINUX="console=ttyS0 net.ifnames=0"\nGRUB_CMDLINE_LINUX_DEFAULT=""\n' >"$root/etc/default/grub"
printf 'machine\n' >"$root/etc/hostname"
rm -f "$root"/etc/ssh/ssh_host_* "$root/etc/apt/apt.conf.d/99mmdebstrap"
rm -f "$root/etc/resolv.conf"
: >"$root/etc/resolv.conf"
printf '127.0.0.1 localhost machine\n' >"$root/etc/hosts"
: >"$root/etc/machine-id"
mkdir -p "$root/etc/systemd/system/ssh.service.d"
printf '[Service]\nExecStartPre=\nExecStartPre=/usr/bin/ssh-keygen -A\nExecStartPre=/usr/sbin/sshd -t\n' >"$root/etc/systemd/system/ssh.service.d/keys.conf"
# Profiles that confine nothing, for programs that are not here: a processor that is emulated takes minutes to load them all.
grep -l 'flags=(unconfined)' "$root"/etc/apparmor.d/* 2>/dev/null | xargs -r rm -f
