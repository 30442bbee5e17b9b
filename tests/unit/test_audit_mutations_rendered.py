"""Live mutations of services' files, on files as roles lay them: each turns its control red, alone."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from socle.audit import controls as control_files
from socle.audit.collect.agent_configuration import options_of
from socle.audit.collect.render import described, without_placeholder
from socle.audit.collect.rendered import CONFIGURED, configuration
from socle.audit.judging import judge_all
from socle.audit.model import Control, Fact, Status
from socle.deploy.described import LaidFile, Role, SiteVariables
from socle.paths import project_root
from tests.unit.audit_golden import one_pass

CONTROLS = control_files.load()


def component_of(control: Control) -> str:
    """The component whose files a control judges, if it judges those of one."""
    kind, _dot, component = control.needs[0].partition(".")
    return component if kind == "config" and component in CONFIGURED else ""


BROKEN = [
    control
    for control in CONTROLS.values()
    if control.mutate.live
    and control.mutate.live.files
    and component_of(control)
    and "chmod" not in control.mutate.live.break_
]


@pytest.fixture(scope="module")
def laid() -> dict[str, dict[str, LaidFile]]:
    """The lab's files with a text, by component and path, of the last host that has the component."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOCLE_PLAN_WITHOUT_VAULT", "1")
        variables = SiteVariables(project_root() / "inventories/lab")
        return {
            component: {file.path: file for file in variables.rendered(host, Role(component)) if file.text}
            for host in variables.hosts
            for component in variables.components(host)
            if component in CONFIGURED
        }


def judged(component: str, files: Mapping[str, Any]) -> set[str]:
    """The controls of a component's files alone that are red."""
    fact = f"config.{component}"
    facts = one_pass([Fact(name=fact, subject="n1", value=configuration(files))])
    asked = {name: control for name, control in CONTROLS.items() if set(control.needs) == {fact}}
    return {one.control for one in judge_all(asked, facts) if one.status is Status.NON_CONFORME}


@pytest.mark.parametrize("control", BROKEN, ids=lambda control: control.id)
def test_it_turns_red_alone(control: Control, laid: dict[str, dict[str, LaidFile]], tmp_path: Path) -> None:
    live, component = control.mutate.live, component_of(control)
    assert live
    files, command = laid[component], live.break_
    told = {path: described(file) for path, file in files.items()}
    for path in live.files:
        there = tmp_path / path.lstrip("/")
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_text(files[path].text or "", "utf-8")
        command = command.replace(path, str(there))
    subprocess.run(["sh", "-ec", command], check=True)
    for path in live.files:
        text = (tmp_path / path.lstrip("/")).read_text("utf-8")
        told[path] = {**told[path], "options": without_placeholder(options_of(path, text))}
    before = judged(component, {path: described(file) for path, file in files.items()})
    assert judged(component, told) - before - {*control.mutate.also, *live.also} == {control.id}
