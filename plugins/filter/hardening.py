"""What a host's hardening lays, from the rules of the role ``hardening`` and the site."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from socle.hardening import HostTraits, applied, files
from socle.hardening.people import accounts_of, sudoers


def _traits(node: Mapping[str, Any], site: Mapping[str, Any], authority: str = "") -> HostTraits:
    return HostTraits(
        groups=node["groups"],
        capabilities=node["capabilities"],
        deploy_user=site["deploy_user"],
        people=tuple(accounts_of(site["people"])),
        user_authority=authority,
    )


def hardening_files(node: Mapping[str, Any], site: Mapping[str, Any], authority: str) -> list[dict[str, Any]]:
    """Entries of the role's bundle on a host."""
    host = _traits(node, site, authority)
    return files(applied(host), host)


def hardening_not_evaluated(node: Mapping[str, Any], site: Mapping[str, Any]) -> list[str]:
    """What this host cannot show, as lines."""
    found = applied(_traits(node, site)).not_evaluated
    return [f"{', '.join(item.rules)} {item.what} ({item.reason})" for item in found]


def hardening_sudoers(node: Mapping[str, Any], catalogue: Mapping[str, Any]) -> str:
    """The sudo rights of the roles of people on a host."""
    units = sorted({unit for name in node["components"] for unit in catalogue[name]["units"]})
    return sudoers(units)


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Any]:
        """By name."""
        return {
            "hardening_files": hardening_files,
            "hardening_not_evaluated": hardening_not_evaluated,
            "hardening_sudoers": hardening_sudoers,
            "people_accounts": accounts_of,
        }
