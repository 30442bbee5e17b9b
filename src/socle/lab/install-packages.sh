#!/bin/sh
# Install Debian packages into a new layer on top of another root.
# Usage: install-packages.sh WORK LOWER CACHE PACKAGE...   (see enter-root.sh)
set -eu
work=$1 lower=$2 cache=$3
shift 3
# shellcheck source-path=SCRIPTDIR source=enter-root.sh
. "${0%/*}/enter-root.sh"

# Nothing is started during the build.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 0755 "$root/usr/sbin/policy-rc.d"

download "$@"
install_packages -o Debug::NoLocking=true install --no-download "$@"

# Roles enable what runs: a service that is not configured yet would only slow the first boot.
preset=$root/etc/systemd/system-preset/00-build.preset
mkdir -p "${preset%/*}"
printf 'enable ssh.service\nenable systemd-networkd.service\ndisable *\n' >"$preset"
inside systemctl preset-all
inside systemctl disable systemd-networkd-wait-online.service
rm "$preset" "$root/usr/sbin/policy-rc.d"
rm -f "$root"/etc/rc[2-5S].d/S* "$root"/var/cache/apt/*.bin
