#!/bin/sh
# Apply a DHCP lease: address, MTU, routes (option 121 replaces option 3, RFC 3442), DNS.
# shellcheck disable=SC2154 # the lease is in variables that udhcpc sets
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
ip address replace "$ip/$mask" dev "$interface"
if [ -n "$mtu" ]; then
  ip link set "$interface" mtu "$mtu"
fi
if [ -n "$staticroutes" ]; then
  # shellcheck disable=SC2086 # pairs of destination and gateway
  set -- $staticroutes
  while [ $# -ge 2 ]; do
    if [ "$2" = 0.0.0.0 ]; then
      ip route replace "$1" dev "$interface"
    else
      ip route replace "$1" via "$2" dev "$interface"
    fi
    shift 2
  done
else
  for gateway in $router; do
    ip route replace default via "$gateway" dev "$interface"
    break
  done
fi
: >/etc/resolv.conf
for server in $dns; do
  echo "nameserver $server" >>/etc/resolv.conf
done
echo "socle-web: $interface has $ip/$mask"
