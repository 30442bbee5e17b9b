"""From judgements, evidence and waivers to verdicts on requirements, never greener than their parts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from socle.audit.model import Control, Judgement, Requirement, Status, Verdict


@dataclass(frozen=True)
class Register:
    """The register of evidence, checked on the day of the facts.

    Args:
        current: for each requirement, its entries that are present and current.
        missing: for each requirement, why an entry does not count (expired, altered), in French.
        unseen: for each requirement, how many of its current entries only say where a document is: neither
            its text nor a signature of it was at hand.
    """

    current: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    unseen: Mapping[str, int] = field(default_factory=dict)


EMPTY = Register()
"""The register of a site that keeps none."""


class Evidence(NamedTuple):
    """What the register holds for one requirement."""

    proofs: tuple[str, ...]
    missing: str | None
    unseen: int = 0

    def told(self) -> str:
        """How many, and how many of them nobody saw here."""
        beside = f", dont {self.unseen} déclarée(s), non vue(s)" if self.unseen else ""
        return f"{len(self.proofs)} preuve(s) au registre, à jour{beside}"


MACHINE_ONLY = "la machine ne prouve qu’une partie de l’exigence"
"""Why a requirement is at most partly held."""


def verdicts(
    requirements: Mapping[str, Requirement],
    controls: Mapping[str, Control],
    judgements: Collection[Judgement],
    services: Collection[str],
    register: Register = EMPTY,
) -> tuple[Verdict, ...]:
    """The verdict of each requirement, in their order.

    Args:
        services: kinds of service that the site offers (``IaaS``, …); a requirement for others does not
            apply.
        register: for each requirement, evidence that is present and current, and why the rest does not count.
    """
    by_control = {judgement.control: judgement for judgement in judgements}
    found = []
    for requirement in requirements.values():
        own = [
            by_control[control.id]
            for control in controls.values()
            if requirement.id in control.requirements and control.id in by_control
        ]
        claims = {control.id: control.claim for control in controls.values()}
        proofs = register.current.get(requirement.id, ())
        own_evidence = Evidence(
            proofs, register.missing.get(requirement.id), register.unseen.get(requirement.id, 0)
        )
        status, reason = _status(requirement, own, claims, services, own_evidence)
        found.append(
            Verdict(
                requirement=requirement.id,
                status=status,
                reason=reason,
                controls=tuple(judgement.control for judgement in own),
                evidence=proofs,
            )
        )
    return tuple(found)


def _status(
    requirement: Requirement,
    judgements: list[Judgement],
    claims: Mapping[str, str],
    services: Collection[str],
    evidence: Evidence,
) -> tuple[Status, str]:
    if not _applies(requirement, services):
        meant = requirement.scope.replace(" on ", " sur ")
        return (Status.NOT_APPLICABLE, f"l’exigence vise {meant}, le site offre {', '.join(services)}")
    if requirement.automation == "evidence-only":
        return _of_evidence(evidence)
    return _of_controls(requirement, judgements, claims, evidence)


def _applies(requirement: Requirement, services: Collection[str]) -> bool:
    """``PaaS/SaaS on CaaS`` is for PaaS and SaaS; ``all`` for everybody."""
    kinds = requirement.scope.partition(" on ")[0].split("/")
    return requirement.scope == "all" or bool(set(kinds) & set(services))


def _of_evidence(evidence: Evidence) -> tuple[Status, str]:
    if evidence.missing:
        return Status.NOT_EVALUATED, evidence.missing
    if evidence.proofs:
        return Status.EVIDENCE, evidence.told()
    return Status.NOT_EVALUATED, "aucune preuve au registre"


def _of_controls(
    requirement: Requirement,
    judgements: list[Judgement],
    claims: Mapping[str, str],
    evidence: Evidence,
) -> tuple[Status, str]:
    failed = [j.control for j in judgements if j.status is Status.NON_CONFORME]
    waived = [j.control for j in judgements if j.status is Status.WAIVED]
    green = [j for j in judgements if j.status is Status.CONFORME]
    unread = [j for j in judgements if j.status is Status.NOT_EVALUATED]
    if failed:
        return Status.NON_CONFORME, f"contrôle(s) en échec : {', '.join(failed)}"
    if waived:
        return Status.WAIVED, f"contrôle(s) sous dérogation : {', '.join(waived)}"
    if not green:
        reasons = dict.fromkeys(f"{j.control} : {j.reason}" for j in unread)
        return Status.NOT_EVALUATED, " ; ".join(reasons) or "aucun contrôle ne porte sur l’exigence"
    if unread:
        return Status.PARTIAL, f"non évalué : {', '.join(j.control for j in unread)}"
    if requirement.automation == "full" and any(claims[j.control] == "full" for j in green):
        return Status.CONFORME, f"{len(green)} contrôle(s) conforme(s)"
    current = evidence.told() if evidence.proofs else None
    rest = evidence.missing or current or "aucune preuve au registre pour le reste"
    return Status.PARTIAL, f"{MACHINE_ONLY} ; {rest}"
