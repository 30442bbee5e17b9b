"""OSCAL (NIST) in JSON: assessment results, component definition, plan of action and milestones.

Identifiers are derived from the site, the moment and what they name: the same audit gives the same bytes.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final
from uuid import NAMESPACE_URL, UUID, uuid5

from socle.audit.model import Control, Finding, Judgement, Status
from socle.audit.report.content import SEVERITY_FR, Content, Row

VERSION: Final = "1.2.1"
CATALOGUE: Final = "https://cyber.gouv.fr/secnumcloud-pour-les-fournisseurs-de-services-cloud"
NAMESPACE: Final = "https://socle.example/ns/oscal"
STATES: Final = {
    Status.CONFORME: "satisfied",
    Status.EVIDENCE: "not-satisfied",
    Status.PARTIAL: "not-satisfied",
    Status.NON_CONFORME: "not-satisfied",
    Status.WAIVED: "not-satisfied",
    Status.NOT_EVALUATED: "not-satisfied",
    Status.NOT_APPLICABLE: "not-satisfied",
}
"""OSCAL knows two states, and only what was proved is satisfied; our own status is a property beside."""


def assessment_results(shown: Content) -> bytes:
    """What was observed and found of each requirement."""
    ids = _Ids(shown)
    observations = [_observation(shown, ids, judgement) for judgement in shown.audit.judgements]
    result = {
        "uuid": ids.of("result"),
        "title": f"SecNumCloud 3.2, {shown.title}",
        "description": " ".join(shown.limits),
        "start": _time(shown.facts.started),
        "end": _time(shown.facts.ended),
        "reviewed-controls": {
            "control-selections": [
                {"include-controls": [{"control-id": control_id(row.requirement.id)} for row in shown.rows]}
            ]
        },
        "observations": observations,
        "findings": [_finding(shown, ids, row) for row in shown.rows],
    }
    plan = ids.of("plan")
    body = {
        "uuid": ids.of("assessment-results"),
        "metadata": _metadata(shown, "Résultats d’évaluation"),
        "import-ap": {"href": f"#{plan}"},
        "results": [result],
        "back-matter": {
            "resources": [
                {
                    "uuid": plan,
                    "title": "Contrôles de socle",
                    "description": "policies/controls, dans l’outil",
                }
            ]
        },
    }
    return _json({"assessment-results": body})


def component_definition(shown: Content) -> bytes:
    """Which requirement each control of the kit serves."""
    ids = _Ids(shown)
    served: dict[str, list[Control]] = {}
    for control in shown.controls.values():
        for requirement in control.requirements:
            served.setdefault(requirement, []).append(control)
    implemented = [
        {
            "uuid": ids.of(f"implemented {requirement}"),
            "control-id": control_id(requirement),
            "description": " ; ".join(control.title_fr for control in controls),
            "props": [_property("controle", control.id) for control in controls],
        }
        for requirement, controls in served.items()
    ]
    component = {
        "uuid": ids.of("component"),
        "type": "software",
        "title": "socle",
        "description": "Nuage privé durci, déployé et contrôlé par socle",
        "control-implementations": [
            {
                "uuid": ids.of("implementation"),
                "source": CATALOGUE,
                "description": "Contrôles automatisés",
                "implemented-requirements": implemented,
            }
        ],
    }
    if not implemented:
        del component["control-implementations"]
    body = {
        "uuid": ids.of("component-definition"),
        "metadata": _metadata(shown, "Définition du composant"),
        "components": [component],
    }
    return _json({"component-definition": body})


def plan_of_action(shown: Content) -> bytes:
    """What is to be repaired: an item for each control that is not in conformity, waived ones too."""
    ids = _Ids(shown)
    items = [
        {
            "uuid": ids.of(f"item {control.id}"),
            "title": control.title_fr,
            "description": control.remediation_fr,
            "props": [
                _property("gravite", SEVERITY_FR[control.severity]),
                _property("statut", judgement.status.value),
            ],
            "related-observations": [{"observation-uuid": ids.of(f"observation {control.id}")}],
        }
        for control, judgement in shown.failures
    ]
    nothing: dict[str, Any] = {
        "uuid": ids.of("nothing"),
        "title": "Aucun écart constaté",
        "description": "Aucun contrôle évalué n’est en écart.",
    }
    body = {
        "uuid": ids.of("poam"),
        "metadata": _metadata(shown, "Plan d’action"),
        "system-id": {"identifier-type": NAMESPACE, "id": shown.audit.site},
        "observations": [_observation(shown, ids, judgement) for _control, judgement in shown.failures],
        "poam-items": items or [nothing],
    }
    if not items:
        del body["observations"]
    return _json({"plan-of-action-and-milestones": body})


def control_id(requirement: str) -> str:
    """The identifier of a requirement as a token: ``snc-9.6.d``."""
    return f"snc-{requirement}"


class _Ids:
    """Identifiers of one audit."""

    def __init__(self, shown: Content) -> None:
        self.space: UUID = uuid5(
            NAMESPACE_URL, f"{NAMESPACE}/{shown.audit.site}/{shown.audit.moment.isoformat()}"
        )

    def of(self, name: str) -> str:
        """The identifier of a part."""
        # OSCAL asks for the form of versions 4 and 5 alike.
        return str(uuid5(self.space, name))


def _observation(shown: Content, ids: _Ids, judgement: Judgement) -> dict[str, Any]:
    control = shown.controls[judgement.control]
    told = [_told(finding) for finding in judgement.findings] or [judgement.reason or judgement.status.value]
    return {
        "uuid": ids.of(f"observation {control.id}"),
        "title": control.title_fr,
        "description": "\n".join(told),
        "methods": ["TEST"],
        "types": ["finding" if judgement.findings else "control-objective"],
        "props": [
            _property("controle", control.id),
            _property("statut", judgement.status.value),
            _property("gravite", SEVERITY_FR[control.severity]),
        ],
        "collected": _time(shown.facts.ended),
    }


def _finding(shown: Content, ids: _Ids, row: Row) -> dict[str, Any]:
    found: dict[str, Any] = {
        "uuid": ids.of(f"finding {row.requirement.id}"),
        "title": row.requirement.id,
        "description": row.requirement.summary_fr,
        "props": [_property("statut", row.verdict.status.value)],
        "target": {
            "type": "objective-id",
            "target-id": control_id(row.requirement.id),
            "description": row.verdict.reason,
            "status": {"state": STATES[row.verdict.status], "reason": _reason(row.verdict.status)},
        },
    }
    if row.controls:
        found["related-observations"] = [
            {"observation-uuid": ids.of(f"observation {control.id}")} for control, _judgement in row.controls
        ]
    return found


def _reason(status: Status) -> str:
    return {Status.CONFORME: "pass", Status.NON_CONFORME: "fail"}.get(status, "other")


def _told(finding: Finding) -> str:
    return f"{finding.subject} : attendu {finding.expected}, trouvé {finding.found}"


def _metadata(shown: Content, title: str) -> dict[str, Any]:
    return {
        "title": f"{title}, {shown.title}",
        "last-modified": _time(shown.audit.moment),
        "version": shown.audit.tool,
        "oscal-version": VERSION,
        "remarks": " ".join(shown.limits),
    }


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": name, "ns": NAMESPACE, "value": value}


def _time(moment: datetime) -> str:
    return moment.isoformat()


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"
