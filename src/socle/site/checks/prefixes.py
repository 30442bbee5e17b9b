"""The registry: tenants whose file is gone, and the prefixes that were given."""

from __future__ import annotations

from collections.abc import Iterator

from socle.site.addresses import PoolExhaustedError, SegmentKey, allot, registered
from socle.site.document import Fault
from socle.site.fields import Network
from socle.site.parts import Part
from socle.site.registry import Registry
from socle.site.settings import Settings
from socle.site.tenant import Tenant


def no_file_is_gone(registry: Part[Registry], tenant_files: frozenset[str]) -> Iterator[Fault]:
    """Removing a file deletes nothing: it is refused until the end of the tenant is certified."""
    for siren, entry in registry.value.tenants.items():
        if entry.state != "certified" and siren not in tenant_files:
            yield registry.fault(
                "tenants",
                siren,
                what=f"the file tenants/{siren}.yml of a tenant that is {entry.state} is gone",
                expected="the file, until the tenant's state is `certified`",
                write=f"restore it with `git checkout -- tenants/{siren}.yml`, then end the tenant first",
            )


def registered_prefixes_are_in_the_pool(
    registry: Part[Registry], settings: Part[Settings]
) -> Iterator[Fault]:
    """Every prefix that was given is inside the pool."""
    pool = settings.value.tenant_pool
    first, last = int(pool.network_address), int(pool.broadcast_address)
    for key, prefix in registered(registry.value).items():
        start = int(prefix.network_address)
        if prefix.version != pool.version or not first <= start <= last or prefix.prefixlen < pool.prefixlen:
            yield registry.fault(
                *_loc(key),
                what=f"{prefix} is outside the tenants' pool {pool}",
                expected=f"a prefix inside {pool}",
                write="delete the line: the kit gives another prefix",
            )


def registered_prefixes_are_disjoint(registry: Part[Registry]) -> Iterator[Fault]:
    """No two segments have an address in common."""
    ordered = sorted(registered(registry.value).items(), key=lambda item: _span(item[1]))
    reached = (0, -1)
    holder: SegmentKey | None = None
    for key, prefix in ordered:
        start, end = _span(prefix)
        if holder and start <= reached[1]:
            line = registry.document.line(_loc(holder))
            yield registry.fault(
                *_loc(key),
                what=f"{prefix} overlaps the prefix of `{holder[2]}` of {holder[0]} (line {line})",
                expected="prefixes that share no address",
                write="delete the line of the tenant that came last: the kit gives another prefix",
            )
        if end > reached[1]:
            reached, holder = (start, end), key


def _span(prefix: Network) -> tuple[int, int]:
    return int(prefix.network_address), int(prefix.broadcast_address)


def segments_keep_their_length(registry: Part[Registry], tenants: dict[str, Part[Tenant]]) -> Iterator[Fault]:
    """A prefix that was given does not grow or shrink: the addresses of servers would change."""
    given = registered(registry.value)
    for part in tenants.values():
        for index, segment in enumerate(part.value.network.segments):
            for environment in part.value.lifecycle.environments:
                prefix = given.get((part.value.siren, environment, segment.name))
                if prefix and prefix.prefixlen != segment.prefix:
                    yield part.fault(
                        "network",
                        "segments",
                        index,
                        "prefix",
                        what=f"`{segment.name}` of `{environment}` asks for /{segment.prefix}, has {prefix}",
                        expected=str(prefix.prefixlen),
                        write=f"write `prefix: {prefix.prefixlen}`, or add a segment with another name",
                    )


def pool_is_large_enough(
    registry: Part[Registry], settings: Part[Settings], tenants: dict[str, Part[Tenant]]
) -> Iterator[Fault]:
    """All segments of all tenants fit in the pool."""
    pool = settings.value.tenant_pool
    try:
        allot(pool, {part.value.siren: part.value for part in tenants.values()}, registry.value)
    except PoolExhaustedError as error:
        yield settings.fault(
            "tenant_pool",
            what=f"the pool {pool} has no /{error.length} left for the tenants' segments",
            expected="a pool that holds every segment",
            write="write a larger pool that holds the present one",
        )


def _loc(key: SegmentKey) -> tuple[str, ...]:
    siren, environment, segment = key
    return ("tenants", siren, "prefixes", environment, segment)


CHECKS = (
    no_file_is_gone,
    registered_prefixes_are_in_the_pool,
    registered_prefixes_are_disjoint,
    segments_keep_their_length,
    pool_is_large_enough,
)
