#!/bin/sh
# Install Debian packages into a new layer on top of another root.
# Runs in mount and PID namespaces of its own, so that nothing outlives it.
# Usage: install-packages.sh WORK LOWER CACHE PACKAGE...
#   WORK   holds upper/ (the result), work/ and root/, and apt.conf with the machine's own Acquire settings
#   LOWER  the root to stand on
#   CACHE  archives/ and lists/ shared by all builds, and the lock around them
set -eu
work=$1 lower=$2 cache=$3
shift 3
root=$work/root

mount -t overlay overlay -o "lowerdir=$lower,upperdir=$work/upper,workdir=$work/work,volatile" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
mount --bind "$cache/archives" "$root/var/cache/apt/archives"
mount --bind "$cache/lists" "$root/var/lib/apt/lists"
cp "$work/apt.conf" /etc/resolv.conf /etc/hosts "$root/tmp/"
mount --bind "$root/tmp/resolv.conf" "$root/etc/resolv.conf"
mount --bind "$root/tmp/hosts" "$root/etc/hosts"

inside() {
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME=/root DEBIAN_FRONTEND=noninteractive \
    APT_CONFIG=/tmp/apt.conf chroot "$root" "$@"
}

install_packages() {
  inside apt-get --yes --no-install-recommends -o APT::Sandbox::User=root -o Dpkg::Use-Pty=0 "$@"
}

# Nothing is started during the build.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 0755 "$root/usr/sbin/policy-rc.d"

# One build downloads at a time: apt does not wait for its own lock on the archives, it fails.
exec 9>"$cache/lock"
flock 9
inside apt-get -o APT::Sandbox::User=root -o APT::Update::Error-Mode=any update
install_packages install --download-only "$@"
exec 9>&-
install_packages -o Debug::NoLocking=true install --no-download "$@"

# Roles enable what runs: a service that is not configured yet would only slow the first boot.
preset=$root/etc/systemd/system-preset/00-build.preset
mkdir -p "${preset%/*}"
printf 'enable ssh.service\nenable systemd-networkd.service\ndisable *\n' >"$preset"
inside systemctl preset-all
inside systemctl disable systemd-networkd-wait-online.service
rm "$preset" "$root/usr/sbin/policy-rc.d"
rm -f "$root"/etc/rc[2-5S].d/S* "$root"/var/cache/apt/*.bin
