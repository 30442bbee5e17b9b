"""What a host answers to the audit and how it is judged: what is odd there must not look right."""

from __future__ import annotations

import pytest

from socle import vault
from socle.audit.collect import session
from socle.paths import project_root
from socle.site import load


def test_bytes_that_are_no_text_cost_one_hosts_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    site = load(project_root() / "inventories/lab")

    def ssh(_site: object, host: object, *_how: object) -> list[str]:
        said = r"{\377}" if host is site.hosts["cmp1"] else "{}"
        return ["/bin/sh", "-c", f"cat >/dev/null; printf '{said}'"]

    monkeypatch.setattr(session, "ssh", ssh)
    monkeypatch.setattr(vault, "audit_key", lambda _place, folder: folder / "key")
    session.new_pass()
    found = session.read_hosts(site)
    session.new_pass()
    problems = {name: one.problem or "" for name, one in found.items()}
    assert problems.pop("cmp1") == "la réponse de l’hôte est tronquée ou illisible"
    assert set(problems.values()) == {"la réponse de l’hôte n’a pas la forme attendue"}
