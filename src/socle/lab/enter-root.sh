# shellcheck shell=sh disable=SC2154 # $work, $lower and $cache are set by the script that reads this one
# Mount a root over $lower, with its changes in $work/upper, and say how to run commands in it.
# Runs in mount and PID namespaces of its own, so that nothing outlives it.
#   $work   holds upper/, work/ and root/, and apt.conf with the machine's own Acquire settings
#   $lower  the root to stand on
#   $cache  archives/ and lists/ shared by all builds, and the lock around them
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
  env -i PATH=/tmp/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME=/root DEBIAN_FRONTEND=noninteractive \
    APT_CONFIG=/tmp/apt.conf chroot "$root" "$@"
}

install_packages() {
  inside apt-get --yes --no-install-recommends -o APT::Sandbox::User=root -o Dpkg::Use-Pty=0 "$@"
}

# Fetch what these packages need that the root does not have. One build downloads at a time: apt does not wait
# for its own lock on the archives, it fails.
download() {
  exec 9>"$cache/lock"
  flock 9
  inside apt-get -o APT::Sandbox::User=root -o APT::Update::Error-Mode=any update
  install_packages install --download-only "$@"
  exec 9>&-
}
