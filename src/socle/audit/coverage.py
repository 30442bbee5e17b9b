"""Which requirement is tested by what, and where there is a hole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from socle.audit.model import Control, Requirement


@dataclass(frozen=True)
class Line:
    """One requirement, its controls, and what is missing."""

    requirement: Requirement
    controls: tuple[str, ...]
    hole: str | None


def matrix(requirements: Mapping[str, Requirement], controls: Mapping[str, Control]) -> tuple[Line, ...]:
    """One line for each requirement, in their order."""
    tested: dict[str, list[str]] = {}
    for control in controls.values():
        for requirement in control.requirements:
            tested.setdefault(requirement, []).append(control.id)
    return tuple(
        Line(one, tuple(tested.get(one.id, ())), _hole(one, tested.get(one.id, []), controls))
        for one in requirements.values()
    )


def _hole(requirement: Requirement, tested: list[str], controls: Mapping[str, Control]) -> str | None:
    if requirement.automation != "evidence-only" and not tested:
        return "no control"
    if requirement.automation != "full" and requirement.evidence is None:
        return "no evidence is asked for"
    full = any(controls[name].claim == "full" for name in tested)
    if requirement.automation == "partial" and full:
        return "a control claims all of what a machine can test in part only"
    return None
