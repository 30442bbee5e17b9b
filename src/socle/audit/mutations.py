"""Break one control in the facts, so that a test sees whether the control notices."""

from __future__ import annotations

import copy
from typing import Any

from socle.audit.model import Control, Facts
from socle.errors import SocleError


def mutated(control: Control, facts: Facts) -> Facts:
    """The same facts with exactly the control's setting broken.

    Raises:
        SocleError: the fact was not read, or a path of ``remove`` leads nowhere.
    """
    mutation = control.mutate
    name = mutation.fact or control.needs[0]
    subjects = [fact.subject for fact in facts.facts if fact.name == name and fact.problem is None]
    chosen = mutation.subject or (subjects[0] if subjects else None)
    if chosen is None or chosen not in subjects:
        raise SocleError(f"{name} was not read of {mutation.subject or 'anything'}", where=control.id)
    return facts.model_copy(
        update={
            "facts": tuple(
                fact.model_copy(update={"value": _broken(control, fact.value)})
                if fact.name == name and fact.subject == chosen
                else fact
                for fact in facts.facts
            )
        }
    )


def _broken(control: Control, value: Any) -> Any:
    changed = copy.deepcopy(value)
    for path, new in control.mutate.set.items():
        changed = _set(control, changed, path, new)
    for path in control.mutate.remove:
        changed = _remove(control, changed, path)
    return changed


def _set(control: Control, value: Any, path: str, new: Any) -> Any:
    if path == "":
        return new
    holder, step = _holder(control, value, path)
    if isinstance(holder, list) and step == "+":
        holder.append(new)
    elif isinstance(holder, list):
        holder[int(step)] = new
    else:
        holder[step] = new
    return value


def _remove(control: Control, value: Any, path: str) -> Any:
    holder, step = _holder(control, value, path)
    try:
        del holder[int(step) if isinstance(holder, list) else step]
    except (KeyError, IndexError) as error:
        raise SocleError(f"nothing stands at {path}", where=control.id) from error
    return value


def _holder(control: Control, value: Any, path: str) -> tuple[Any, str]:
    """What holds the last step of a path, and that step. A key that has a ``/`` itself is found whole."""
    if isinstance(value, dict):
        for key in sorted((key for key in value if path.startswith(f"{key}/")), key=len, reverse=True):
            return _holder(control, value[key], path[len(key) + 1 :])
        return value, path
    if isinstance(value, list):
        step, slash, rest = path.partition("/")
        if not slash:
            return value, step
        if step.isdigit() and int(step) < len(value):
            return _holder(control, value[int(step)], rest)
    raise SocleError(f"nothing stands at {path}", where=control.id)
