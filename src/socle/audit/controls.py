"""Read the controls of ``policies/controls/<chapter>/*.yaml``, and say everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from pydantic import ValidationError

from socle.audit.model import Control
from socle.audit.requirements import load as load_requirements
from socle.audit.rules import RULES
from socle.errors import SocleError
from socle.paths import project_root
from socle.site.document import Document, Fault, SiteErrors, read
from socle.site.messages import faults_of

FOLDER = "policies/controls"


@cache
def load() -> Mapping[str, Control]:
    """The controls of the project by id, in the order of chapters and ids.

    Raises:
        SiteErrors: every fault of every file, each with its line.
    """
    return read_folder(project_root() / FOLDER)


def read_folder(folder: Path) -> Mapping[str, Control]:
    """As ``load``, of a folder of one's own. A file holds one control, or a list of them."""
    found: dict[str, Control] = {}
    faults: list[Fault] = []
    for path in sorted(folder.glob("*/*.yaml"), key=lambda p: (int(p.parent.name), p.name)):
        document = read(path)
        if document.faults:
            faults += document.faults
            continue
        for place, root in enumerate(document.root if isinstance(document.root, list) else [document.root]):
            at = (place,) if isinstance(document.root, list) else ()
            control = _control(document, root, at, path.parent.name, faults)
            if control and control.id in found:
                what = f"the control {control.id} stands twice"
                faults.append(document.fault((*at, "id"), what, "an id of its own"))
            elif control:
                found[control.id] = control
    faults += _unknown_neighbours(folder, found)
    if faults:
        raise SiteErrors(faults)
    return MappingProxyType(found)


def _control(
    document: Document, root: object, at: tuple[int, ...], chapter: str, faults: list[Fault]
) -> Control | None:
    try:
        control = Control.model_validate(root)
    except ValidationError as error:
        part = Document(document.path, root) if at else document
        faults += faults_of(part, Control, error)
        return None
    wrong = list(_unknown(document, control, at))
    faults += wrong
    return None if wrong else control.model_copy(update={"chapter": chapter})


def _unknown(document: Document, control: Control, at: tuple[int, ...]) -> list[Fault]:
    """What a control names that does not exist, and a mutation that breaks nothing."""
    requirements = load_requirements()
    found = [
        document.fault((*at, "requirements"), f"no requirement {name}", "an id of the catalogue, as 9.6.d")
        for name in control.requirements
        if name not in requirements
    ]
    if control.rule not in RULES:
        found.append(
            document.fault((*at, "rule"), f"no rule {control.rule}", f"one of {', '.join(sorted(RULES))}")
        )
    mutate = control.mutate
    if not mutate.set and not mutate.remove:
        found.append(
            document.fault(
                (*at, "mutate"), "nothing is broken by it", "`set` or `remove` with a path of the fact"
            )
        )
    if (mutate.live is None) == (mutate.not_live is None):
        found.append(
            document.fault((*at, "mutate"), "not said how the lab is broken", "one of `live` and `not_live`")
        )
    return found


def _unknown_neighbours(folder: Path, controls: Mapping[str, Control]) -> list[Fault]:
    return [
        Fault(folder / control.chapter, 1, f"{control.id}: `also` names {other}, which is no control")
        for control in controls.values()
        for other in (*control.mutate.also, *(control.mutate.live.also if control.mutate.live else ()))
        if other not in controls
    ]


def named(identifier: str) -> Control:
    """A control by its id.

    Raises:
        SocleError: there is none of that name.
    """
    try:
        return load()[identifier]
    except KeyError as error:
        raise SocleError(f"no control {identifier}", where=FOLDER) from error
