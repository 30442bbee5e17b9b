"""From facts to judgements of controls: pure, and green only where everything was read and holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from socle.audit.model import Control, Facts, Finding, Judgement, Status
from socle.audit.rules import RULES, Others
from socle.audit.rules.registry import Unreadable
from socle.audit.verify import plain


def judge_all(controls: Mapping[str, Control], facts: Facts) -> tuple[Judgement, ...]:
    """The judgement of each control, in their order."""
    index = _Index(facts)
    return tuple(_judge(control, index) for control in controls.values())


def judge(control: Control, facts: Facts) -> Judgement:
    """One control on a site.

    It is *conforme* only when each fact that it needs was read of each subject of which it had to be read,
    there is at least one subject, and the rule finds nothing. A finding weighs more than what was not read
    beside it.
    """
    return _judge(control, _Index(facts))


class _Index:
    """Facts by name and subject, made once for all controls."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.values: dict[str, dict[str, Any]] = {}
        self.problems: dict[str, dict[str, str]] = {}
        for fact in facts.facts:
            if fact.problem is None and fact.value is not None:
                self.values.setdefault(fact.name, {})[fact.subject] = fact.value
            else:
                self.problems.setdefault(fact.name, {})[fact.subject] = fact.problem or "lecture vide"

    def unread(self, name: str) -> dict[str, str]:
        """Why a fact could not be read, by subject; nothing when all of it was."""
        if name not in self.facts.expected and name.startswith("probe."):
            return {"": f"{name} : sonde non lancée (`socle audit live --probes`)"}
        if name not in self.facts.expected:
            return {"": f"{name} : lecture non faite ({self._kind})"}
        missing = dict(self.problems.get(name, {}))
        for subject in self.facts.expected[name]:
            if subject not in self.values.get(name, {}):
                missing.setdefault(subject, "aucune lecture")
        return missing

    @property
    def _kind(self) -> str:
        return "avant déploiement" if self.facts.kind == "static" else "sur le nuage en service"


def _judge(control: Control, index: _Index) -> Judgement:
    unread = [pair for name in control.needs for pair in index.unread(name).items()]
    found: list[Finding] = []
    read = 0
    others = {name: index.values.get(name, {}) for name in control.needs[1:]}
    asked = all(name in index.facts.expected for name in control.needs)
    if asked:
        for subject, value in sorted(index.values.get(control.needs[0], {}).items()):
            try:
                # One by one: what was found stays found if the rule cannot read on.
                found.extend(_findings(control, subject, value, Others(subject, index.facts.ended, others)))
                read += 1
            except Unreadable as error:
                unread.append((subject, str(error)))
            except (TypeError, KeyError, AttributeError, ValueError, IndexError) as error:
                # A reading of a shape that the rule does not know is no proof of anything.
                unread.append((subject, f"lecture inattendue ({type(error).__name__} : {error})"))
    if found:
        return Judgement(
            control=control.id,
            status=Status.NON_CONFORME,
            read=read,
            findings=tuple(found),
            reason=_told(unread),
        )
    if unread:
        return Judgement(
            control=control.id, status=Status.NOT_EVALUATED, read=read, asked=asked, reason=_told(unread)
        )
    if not read:
        return Judgement(
            control=control.id, status=Status.NOT_EVALUATED, reason="aucun sujet de ce type n’existe"
        )
    return Judgement(control=control.id, status=Status.CONFORME, read=read)


def _findings(control: Control, subject: str, value: Any, others: Others) -> Iterator[Finding]:
    for deviation in RULES[control.rule](value, control.expect, others):
        yield Finding(
            subject=plain_lines(f"{subject} — {deviation.place}" if deviation.place else subject),
            expected=plain_lines(deviation.expected),
            found=plain_lines(deviation.found),
        )


def _told(unread: Iterable[tuple[str, str]]) -> str | None:
    """Each reason once, after the subjects that it holds of."""
    subjects: dict[str, list[str]] = {}
    for subject, why in dict.fromkeys(unread):
        subjects.setdefault(why, []).append(subject)
    told = " ; ".join(f"{', '.join(names)} : {why}".removeprefix(" : ") for why, names in subjects.items())
    return plain_lines(told) or None


def plain_lines(text: str) -> str:
    """What was read, without what would move the cursor of who reads it: it could hide a line."""
    return "\n".join(map(plain, text.split("\n")))
