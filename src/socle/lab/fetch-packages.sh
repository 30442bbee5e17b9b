#!/bin/sh
# Fetch packages and what a node still lacks for them into the cache; their file names go to WORK/archives.
# Usage: fetch-packages.sh WORK LOWER CACHE PACKAGE...   (see enter-root.sh)
#   WORK/status   the node's list of installed packages
set -eu
work=$1 lower=$2 cache=$3
shift 3
# shellcheck source-path=SCRIPTDIR source=enter-root.sh
. "${0%/*}/enter-root.sh"

cp "$work/status" "$root/var/lib/dpkg/status"
download "$@"
# With no archives in sight, apt names them all.
mkdir -p "$root/tmp/none/partial"
install_packages -o Dir::Cache::archives=/tmp/none --print-uris install "$@" |
  sed -n "s/^'[^']*' \\([^ ]*\\) .*/\\1/p" >"$work/archives"
