"""SARIF 2.1.0 (OASIS): each finding where it was found, for tools that gather results of scanners."""

from __future__ import annotations

import json
from typing import Any

from socle.audit.model import Control, Status
from socle.audit.report.content import Content

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS = {"critical": "error", "high": "error", "medium": "warning", "low": "note"}
RANKS = {"critical": 90.0, "high": 70.0, "medium": 50.0, "low": 20.0}


def render(shown: Content) -> bytes:
    """One run; a control is a rule, each of its findings a result."""
    order = {judgement.control: place for place, judgement in enumerate(shown.audit.judgements)}
    results = [
        {
            "ruleId": judgement.control,
            "ruleIndex": order[judgement.control],
            "kind": "fail",
            "level": LEVELS[shown.controls[judgement.control].severity],
            "rank": RANKS[shown.controls[judgement.control].severity],
            "message": {"text": f"{finding.subject} : attendu {finding.expected}, trouvé {finding.found}"},
            "locations": [
                {"logicalLocations": [{"fullyQualifiedName": finding.subject, "kind": "resource"}]}
            ],
            **({"suppressions": [{"kind": "external"}]} if judgement.status is Status.WAIVED else {}),
        }
        for judgement in shown.audit.judgements
        for finding in judgement.findings
    ]
    results += [
        {
            "ruleId": judgement.control,
            "ruleIndex": order[judgement.control],
            "kind": "open" if judgement.status is Status.NOT_EVALUATED else "pass",
            "level": "none",
            "message": {"text": judgement.reason or judgement.status.value},
        }
        for judgement in shown.audit.judgements
        if not judgement.findings
    ]
    driver = {
        "name": "socle",
        "version": shown.audit.tool,
        "rules": [_rule(shown.controls[judgement.control]) for judgement in shown.audit.judgements],
    }
    run = {
        "tool": {"driver": driver},
        "invocations": [
            {
                "executionSuccessful": True,
                "startTimeUtc": _utc(shown.facts.started.isoformat()),
                "endTimeUtc": _utc(shown.facts.ended.isoformat()),
            }
        ],
        "results": results,
    }
    document = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"


def _rule(control: Control) -> dict[str, Any]:
    return {
        "id": control.id,
        "shortDescription": {"text": control.title_fr},
        "help": {"text": control.remediation_fr},
        "properties": {"tags": [f"SecNumCloud-3.2:{name}" for name in control.requirements]},
    }


def _utc(moment: str) -> str:
    return moment.replace("+00:00", "Z")
