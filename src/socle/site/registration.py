"""Write ``registry.yml``, before a tenant is first deployed: its prefixes never move afterwards."""

from __future__ import annotations

import os
from pathlib import Path

from socle.errors import SocleError
from socle.site.model import Site
from socle.site.registry import Registration, Registry

HEADER = """\
# yaml-language-server: $schema=../../docs/schemas/registry.schema.json
# Written by the kit, kept in git: where each tenant is in its life, and the prefixes it was given.
"""


def register(site: Site) -> bool:
    """Write what the registry does not hold yet; returns whether the file changed.

    Raises:
        SocleError: the file cannot be written.
    """
    wanted = updated(site)
    path = site.folder / "registry.yml"
    if wanted == site.registry and path.exists():
        return False
    try:
        _replace(path, rendered(wanted))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SocleError(
            f"the registry cannot be written: {reason}",
            where=str(path),
            expected="a site folder that the deploying account can write to",
        ) from None
    return True


def updated(site: Site) -> Registry:
    """The registry with the present subnets of every tenant; a certified tenant gives its prefixes back."""
    entries = {
        siren: entry if entry.state != "certified" else entry.model_copy(update={"prefixes": {}})
        for siren, entry in site.registry.tenants.items()
    }
    for siren, subnets in site.subnets.items():
        state = site.tenant_state(siren)
        if state != "certified":
            prefixes: dict[str, dict[str, str]] = {}
            for subnet in subnets:
                prefixes.setdefault(subnet.environment, {})[subnet.segment] = str(subnet.prefix)
            entries[siren] = Registration.model_validate({"state": state, "prefixes": prefixes})
    return Registry(tenants=dict(sorted(entries.items())))


def rendered(registry: Registry) -> str:
    """The registry as YAML, one line for each environment."""
    if not registry.tenants:
        return f"{HEADER}tenants: {{}}\n"
    lines = ["tenants:"]
    for siren, entry in registry.tenants.items():
        lines += [f'  "{siren}":', f"    state: {entry.state}"]
        lines.append("    prefixes:" if entry.prefixes else "    prefixes: {}")
        for environment, segments in entry.prefixes.items():
            inside = ", ".join(f"{name}: {prefix}" for name, prefix in segments.items())
            lines.append(f"      {environment}: {{{inside}}}")
    return HEADER + "\n".join(lines) + "\n"


def _replace(path: Path, text: str) -> None:
    """All or nothing, also when the machine stops in between."""
    draft = path.with_name(f".{path.name}.new")
    with draft.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)
