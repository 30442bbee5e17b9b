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

# Hundreds of packages would each start Python to compile their modules: a third of the work. Once is enough.
mkdir "$root/tmp/bin"
ln -s /usr/bin/true "$root/tmp/bin/py3compile"

download "$@"
install_packages -o Debug::NoLocking=true install --no-download "$@"

for modules in /usr/lib/python3/dist-packages /usr/share/openstack-dashboard; do
  if [ -d "$root$modules" ] && ! inside python3 -m compileall -q -j 2 "$modules"; then
    echo "$modules: what could not be compiled is compiled when it is imported"
  fi
done

# Roles enable what runs: a service that is not configured yet would only slow the first boot.
preset=$root/etc/systemd/system-preset/00-build.preset
mkdir -p "${preset%/*}"
printf 'enable ssh.service\nenable systemd-networkd.service\ndisable *\n' >"$preset"
inside systemctl preset-all
inside systemctl disable systemd-networkd-wait-online.service
rm "$preset" "$root/usr/sbin/policy-rc.d"
rm -f "$root"/etc/rc[2-5S].d/S* "$root"/var/cache/apt/*.bin
