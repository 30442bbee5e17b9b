"""Known vulnerabilities as a bill tells them: `vulnerabilities` of CycloneDX 1.6, with our analysis (VEX)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from socle.supply.judgement import Known
from socle.supply.statements import Placed

SOURCES = {
    "CVE": ("NVD", "https://nvd.nist.gov/vuln/detail/"),
    "GHSA": ("GitHub", "https://github.com/advisories/"),
    "GO": ("Go", "https://pkg.go.dev/vuln/"),
}
ANY = ("OSV", "https://osv.dev/vulnerability/")


def plain(known: Iterable[Known]) -> list[dict[str, Any]]:
    """What a bill says of what is known, in the order of names; the same gives the same."""
    return sorted((_entry(one) for one in known), key=lambda entry: str(entry["bom-ref"]))


def _entry(one: Known) -> dict[str, Any]:
    version = {"version": one.component.version, "status": "affected"}
    entry = {
        "bom-ref": f"{one.id}@{one.component.reference}",
        "id": one.id,
        "source": _source(one.id),
        "affects": [{"ref": one.component.reference, "versions": [version]}],
    }
    if one.statement is not None:
        return entry | _stated(one.statement)
    fix = {"recommendation": f"Update to {one.fixed}."} if one.fixed else {}
    return entry | fix | {"analysis": {"state": "in_triage"}}


def _stated(placed: Placed) -> dict[str, Any]:
    statement = placed.statement
    told: dict[str, Any] = {
        "references": [{"id": name, "source": _source(name)} for name in statement.aliases],
        "ratings": [{"source": {"name": "Socle"}, "severity": statement.severity, "method": "other"}],
        "description": statement.summary,
        "advisories": [{"url": statement.source}] if statement.source else [],
        "recommendation": f"Update to {statement.affected.fixed}." if statement.affected.fixed else "",
        "analysis": _analysis(placed),
        "properties": list(_properties(placed)),
    }
    return {name: value for name, value in told.items() if value}


def _analysis(placed: Placed) -> dict[str, Any]:
    statement = placed.statement
    told = {
        "state": statement.state,
        "justification": statement.justification,
        "response": ["workaround_available"] if placed.closures else [],
        "detail": statement.reached_by,
    }
    return {name: value for name, value in told.items() if value}


def _properties(placed: Placed) -> Iterable[dict[str, str]]:
    for closure in placed.closures:
        yield {"name": "socle:closed-by", "value": f"{closure.setting} ({closure.file})"}
        yield {"name": "socle:proved-by", "value": closure.test}
    for package in placed.statement.absent:
        yield {"name": "socle:absent-package", "value": package}
    if placed.statement.accepted_until:
        yield {"name": "socle:accepted-until", "value": placed.statement.accepted_until.isoformat()}


def _source(name: str) -> dict[str, str]:
    publisher, address = SOURCES.get(name.partition("-")[0], ANY)
    return {"name": publisher, "url": f"{address}{name}"}
