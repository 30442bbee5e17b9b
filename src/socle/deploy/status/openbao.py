"""The seal of each node of OpenBao, and its audit devices."""

from __future__ import annotations

from socle import vault
from socle.catalogue import Catalogue
from socle.deploy.status.finding import Finding, Section, unanswered
from socle.errors import SocleError
from socle.site import Site
from socle.vault import audit


def openbao_section(site: Site, services: Catalogue) -> list[Section]:
    """Reachable, initialised, unsealed, which is active."""
    try:
        states = vault.status(vault.place_of(site, services))
    except SocleError as error:
        return [unanswered("openbao", "OpenBao", str(error))]
    nodes = Section("openbao", "OpenBao", tuple(_node(state) for state in states))
    return [nodes, audit_section(vault.place_of(site, services))]


def audit_section(place: vault.Place) -> Section:
    """Whether every audit device records, and has room to."""
    title = "Audit devices of OpenBao"
    try:
        found = tuple(_device(device) for device in audit.devices(place))
    except SocleError as error:
        return unanswered("audit", title, str(error))
    return Section("audit", title, found) if found else unanswered("audit", title, "no node answers")


def _device(device: audit.Device) -> Finding:
    facts: dict[str, str | int | float] = {
        "writes to": device.path,
        "free": f"{device.free} MiB",
        "last entry": "" if device.age is None else f"{device.age:.0f} s ago",
    }
    name = f"{device.node}/{device.name}"
    if device.fault:
        return Finding(name, "not well", facts, device.fault)
    return Finding(name, "well", facts)


def _node(state: vault.NodeStatus) -> Finding:
    name = state.node.name
    if not state.reachable:
        return Finding(name, "not well", {"url": state.node.url}, f"does not answer: {state.reason}")
    facts: dict[str, str | int | float] = {
        "url": state.node.url,
        "version": state.version,
        "seal": "sealed" if state.sealed else "unsealed",
        "role": "active" if state.active else "standby",
    }
    if not state.initialised:
        return Finding(
            name, "not well", facts, "is not initialised; run `socle deploy`, or `socle vault init`"
        )
    if state.sealed:
        return Finding(name, "not well", facts, "is sealed; run `socle deploy`, or `socle vault unseal`")
    return Finding(name, "well", facts)
