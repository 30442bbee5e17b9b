"""The seal of each node of OpenBao."""

from __future__ import annotations

from socle import vault
from socle.catalogue import Catalogue
from socle.deploy.status.finding import Finding, Section, unanswered
from socle.errors import SocleError
from socle.site import Site


def openbao_section(site: Site, services: Catalogue) -> list[Section]:
    """Reachable, initialised, unsealed, which is active."""
    try:
        states = vault.status(vault.place_of(site, services))
    except SocleError as error:
        return [unanswered("openbao", "OpenBao", str(error))]
    return [Section("openbao", "OpenBao", tuple(_node(state) for state in states))]


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
        return Finding(name, "not well", facts, "is not initialised; run `socle deploy`")
    if state.sealed:
        return Finding(
            name, "not well", facts, "is sealed; run `socle deploy`, or unseal it with the custodians"
        )
    return Finding(name, "well", facts)
