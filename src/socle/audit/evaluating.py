"""Judge frozen facts: controls, then requirements. Pure; the same facts always give the same audit."""

from __future__ import annotations

from collections.abc import Mapping

from socle.audit import controls as control_files
from socle.audit import requirements as requirement_file
from socle.audit.judging import judge_all
from socle.audit.model import Audit, Control, Facts, Requirement
from socle.audit.register import registered, waived
from socle.audit.verdicts import verdicts

LIMITS = (
    "Ce rapport ne vaut pas qualification : seule l’ANSSI qualifie, sur l’évaluation d’un centre agréé.",
    "Les exigences sont résumées par le projet ; le texte qui fait foi est le référentiel SecNumCloud 3.2.",
)


def evaluate(
    facts: Facts,
    controls: Mapping[str, Control] | None = None,
    requirements: Mapping[str, Requirement] | None = None,
) -> Audit:
    """The audit of a site from its facts alone."""
    chosen = control_files.load() if controls is None else controls
    wanted = requirement_file.load() if requirements is None else requirements
    judgements, wrong_waivers = waived(chosen, judge_all(chosen, facts), facts)
    register, wrong_evidence = registered(wanted, facts)
    return Audit(
        site=facts.site,
        kind=facts.kind,
        moment=facts.ended,
        tool=facts.tool,
        limits=LIMITS,
        faults=(*wrong_waivers, *wrong_evidence),
        judgements=judgements,
        verdicts=verdicts(wanted, chosen, judgements, facts.services, register),
    )
