"""What follows from the list of storage hosts: which of them are monitors, how far copies are kept apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

QUORUM = 3
GROUPS_PER_OSD = 50
LEAST_GROUPS = 16


def ceph_monitors(hosts: Sequence[str]) -> list[str]:
    """The monitors' hosts: three, or one where there are fewer, since two outvote nobody."""
    return list(hosts[:QUORUM]) if len(hosts) >= QUORUM else list(hosts[:1])


def ceph_copies(replicas: int, hosts: Sequence[str]) -> int:
    """Copies of each object: never two on one host, so a single host keeps one."""
    return min(replicas, len(hosts))


def ceph_placement_groups(osds: int, copies: int, pools: int) -> int:
    """Placement groups of each pool: a power of two that gives every OSD at most 50, and at least 16.

    Half of what Ceph's guide says, which leaves room for more pools:
    https://docs.ceph.com/en/reef/rados/operations/placement-groups/#choosing-the-number-of-pgs
    """
    wanted = GROUPS_PER_OSD * osds // (copies * pools)
    return max(LEAST_GROUPS, 1 << wanted.bit_length() - 1 if wanted else 0)


def ceph_manager_users(hosts: Sequence[str], key: str) -> list[dict[str, Any]]:
    """The managers' accounts, one a host, with the capabilities that Ceph's own deployment gives them."""
    capabilities = {"mon": "allow profile mgr", "osd": "allow *", "mds": "allow *"}
    return [{"name": f"mgr.{host}", "key": key, "capabilities": capabilities} for host in hosts]


class FilterModule:
    """Filters of the roles that deploy Ceph and its clients."""

    def filters(self) -> dict[str, Any]:
        """Names under which templates find them."""
        return {
            "ceph_monitors": ceph_monitors,
            "ceph_copies": ceph_copies,
            "ceph_placement_groups": ceph_placement_groups,
            "ceph_manager_users": ceph_manager_users,
        }
