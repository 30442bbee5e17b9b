"""Prefixes of the tenants' segments, cut from the site's pool so that none ever moves.

``registry.yml`` says what was given. What a new file asks for is cut from the rest: smallest free block that
fits, lowest address first, tenants in the order of their SIREN. Two machines with the same files agree, and
what is in the registry (``registration.py`` writes it before a tenant's first deployment) stays.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network

from socle.site.fields import Address, Network
from socle.site.registry import Registry
from socle.site.tenant import Environment, Tenant

type SegmentKey = tuple[str, Environment, str]


class PoolExhaustedError(Exception):
    """No block of this length is left in the pool."""

    def __init__(self, length: int) -> None:
        self.length = length
        super().__init__(f"no free /{length} in the pool")


@dataclass(frozen=True)
class TenantSubnet:
    """One segment of a tenant in one environment."""

    environment: Environment
    segment: str
    prefix: Network
    encryption: str

    @property
    def gateway(self) -> Address:
        """The router's address: the first one of the prefix."""
        return self.prefix[1]


class Pool:
    """Free space of a prefix as aligned blocks (a buddy allocator)."""

    def __init__(self, pool: Network) -> None:
        self.pool = pool
        self.bits = pool.max_prefixlen
        self.free: dict[int, list[int]] = {length: [] for length in range(pool.prefixlen, self.bits + 1)}
        self.free[pool.prefixlen].append(int(pool.network_address))

    def reserve(self, taken: Network) -> bool:
        """Take a given prefix; false when it is outside the pool or not free any more."""
        start = int(taken.network_address)
        for length in range(taken.prefixlen, self.pool.prefixlen - 1, -1):
            block = start >> (self.bits - length) << (self.bits - length)
            if block in self.free[length]:
                self.free[length].remove(block)
                heapq.heapify(self.free[length])
                self._split(block, length, start, taken.prefixlen)
                return True
        return False

    def take(self, length: int) -> Network:
        """Cut a prefix of this length.

        Raises:
            PoolExhaustedError: nothing that large is left.
        """
        for larger in range(length, self.pool.prefixlen - 1, -1):
            if self.free.get(larger):
                start = heapq.heappop(self.free[larger])
                self._split(start, larger, start, length)
                return ip_network((start, length))
        raise PoolExhaustedError(length)

    def _split(self, block: int, length: int, start: int, wanted: int) -> None:
        """Give back the halves of ``block`` that do not hold ``start``, down to the wanted length."""
        while length < wanted:
            length += 1
            half = 1 << (self.bits - length)
            inside = start & half
            heapq.heappush(self.free[length], block if inside else block + half)
            block += half if inside else 0


def wanted(tenants: Mapping[str, Tenant]) -> Iterator[tuple[SegmentKey, int, str]]:
    """Every segment of every environment: key, prefix length and encryption, in the order of allotment."""
    for siren, tenant in sorted(tenants.items()):
        for environment in sorted(tenant.lifecycle.environments):
            for segment in sorted(tenant.network.segments, key=lambda s: s.name):
                yield (siren, environment, segment.name), segment.prefix, segment.encryption


def registered(registry: Registry) -> dict[SegmentKey, Network]:
    """The prefixes that were given and not yet freed by the end of the tenant."""
    return {
        (siren, environment, segment): prefix
        for siren, entry in registry.tenants.items()
        if entry.state != "certified"
        for environment, segments in entry.prefixes.items()
        for segment, prefix in segments.items()
    }


def allot(
    pool: Network, tenants: Mapping[str, Tenant], registry: Registry
) -> dict[str, tuple[TenantSubnet, ...]]:
    """The subnets of every tenant: those of the registry, and new ones for what it does not hold.

    Raises:
        PoolExhaustedError: the pool is too small for what the tenants ask for.
    """
    given = registered(registry)
    space = Pool(pool)
    _reserve_all(space, given.values())
    subnets: dict[str, list[TenantSubnet]] = {siren: [] for siren in tenants}
    for key, length, encryption in wanted(tenants):
        siren, environment, segment = key
        prefix = given.get(key) or space.take(length)
        subnets[siren].append(TenantSubnet(environment, segment, prefix, encryption))
    return {siren: tuple(found) for siren, found in subnets.items()}


def _reserve_all(space: Pool, prefixes: Iterable[Network]) -> None:
    """Reserve what the registry holds, in order of address so that few blocks are free at any time.

    Overlaps and strangers to the pool are left out here: ``checks`` names them.
    """
    ours = (prefix for prefix in prefixes if prefix.version == space.pool.version)
    for prefix in sorted(ours, key=lambda p: int(p.network_address)):
        space.reserve(prefix)
