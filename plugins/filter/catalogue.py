"""Questions that roles ask of the service catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from socle.catalogue.host_certificates import certificates_of

type Entries = Mapping[str, Mapping[str, Any]]


def database_accounts(catalogue: Entries) -> list[dict[str, Any]]:
    """Components that own databases, each with their names."""
    return [
        {"name": name, "databases": e["databases"]} for name, e in catalogue.items() if e.get("databases")
    ]


def queue_accounts(catalogue: Entries) -> list[str]:
    """Components that have an account at RabbitMQ."""
    return [name for name, entry in catalogue.items() if entry.get("queue")]


def api_units(catalogue: Entries) -> list[str]:
    """The units, as journald names them, of components with a place in Keystone's catalogue of APIs."""
    return [
        f"{unit}.service"
        for entry in catalogue.values()
        if (entry.get("identity") or {}).get("service")
        for unit in entry["units"]
    ]


def published(catalogue: Entries) -> list[dict[str, Any]]:
    """Listeners that HAProxy publishes: name, port on the VIP, port behind, zones, protocol, health path."""
    return [
        {
            "name": f"{component}_{listener}",
            "port": entry["front"].get("port") or entry["port"],
            "back_port": entry["port"],
            "zones": entry["front"]["zones"],
            "tls": entry["front"].get("tls", True),
            "single": entry["front"].get("single", False),
            "http": entry["protocol"] == "http",
            "health": entry.get("health"),
        }
        for component, described in catalogue.items()
        for listener, entry in described.get("listeners", {}).items()
        if entry.get("front")
    ]


def host_certificates(
    catalogue: Entries, node: Mapping[str, Any], site: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The certificates that a host asks OpenBao for."""
    wanted = certificates_of(
        {name: catalogue[name] for name in node["components"]},
        name=node["name"],
        domain=site["domain"],
        address=node["addresses"]["admin"],
        endpoints=site["endpoints"],
        vault_name=site["openbao"]["name"],
    )
    return [{**asdict(c), "names": list(c.names), "addresses": list(c.addresses)} for c in wanted]


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Names as they are written in templates."""
        return {
            "database_accounts": database_accounts,
            "queue_accounts": queue_accounts,
            "api_units": api_units,
            "published": published,
            "host_certificates": host_certificates,
        }
