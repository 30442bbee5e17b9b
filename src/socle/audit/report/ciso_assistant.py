"""What CISO Assistant takes for a compliance assessment: one entry for each requirement, by its reference."""

from __future__ import annotations

import json

from socle.audit.model import Status
from socle.audit.report.content import Content, Row

RESULTS = {
    Status.CONFORME: "compliant",
    Status.PARTIAL: "partially_compliant",
    Status.NON_CONFORME: "non_compliant",
    Status.NOT_APPLICABLE: "not_applicable",
    Status.NOT_EVALUATED: "not_assessed",
    Status.WAIVED: "non_compliant",
    Status.EVIDENCE: "not_assessed",
}
"""Results of its API. Nobody assessed the evidence that is there, and a waiver makes nothing compliant."""


def render(shown: Content) -> bytes:
    """The payload: an assessment and its requirement assessments, JSON."""
    payload = {
        "framework": "SecNumCloud 3.2",
        "name": f"{shown.title}, {shown.audit.moment:%Y-%m-%d}",
        "description": "\n".join(shown.limits),
        "requirement_assessments": [_entry(row) for row in shown.rows],
    }
    return json.dumps(payload, indent=1, ensure_ascii=False).encode() + b"\n"


def _entry(row: Row) -> dict[str, object]:
    findings = [
        f"{f.subject} : attendu {f.expected}, trouvé {f.found}" for _c, j in row.controls for f in j.findings
    ]
    unassessed = RESULTS[row.verdict.status] == "not_assessed"
    return {
        "ref_id": row.requirement.id,
        "status": "to_do" if unassessed else "done",
        "result": RESULTS[row.verdict.status],
        "observation": "\n".join([f"{row.verdict.status.value} : {row.verdict.reason}", *findings]),
        "evidences": list(row.verdict.evidence),
    }
