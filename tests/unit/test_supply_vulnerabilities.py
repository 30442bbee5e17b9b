"""Known vulnerabilities: each is found, stated once, and a statement that no longer holds is an error."""

from __future__ import annotations

import json
import re
import subprocess
from datetime import date
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest

from socle.errors import SocleError
from socle.paths import project_root
from socle.supply import debian, osv, sources, statements, vex
from socle.supply.bom import Component, Property, bill
from socle.supply.judgement import Judged, judge, with_proofs
from socle.supply.osv import Record, packaged
from socle.supply.statements import Placed
from socle.supply.versions import affected, within
from socle.supply.versions import debian as debian_order
from socle.tools.recipe import recipes

TODAY = date(2026, 11, 29)
OPENBAO = Component(name="bao.example/bao", version="v2.4.0", purl="pkg:golang/bao.example/bao@v2.4.0")
PYTHON = Component(name="jinja2", version="3.1.6", purl="pkg:pypi/jinja2@3.1.6")
BASH = Component(
    name="bash",
    version="5.2.37-2+b5",
    purl="pkg:deb/debian/bash@5.2.37-2%2Bb5?arch=amd64&distro=debian-13",
    properties=(
        Property(name="debian:source", value="bash"),
        Property(name="debian:source-version", value="5.2.37-2"),
    ),
)
BAO = {"ecosystem": "Go", "name": "bao.example/bao"}
STATED = """
closures:
  limit:
    setting: a limit
    file: README.md
    test: tests/unit/test_supply_vulnerabilities.py::test_what_is_stated_is_no_finding
components:
  - component: bao.example/bao
    ecosystem: Go
    version: v2.4.0
    statements:
      - id: CVE-2026-0001
        aliases: [GO-2026-1]
        affected: {fixed: 2.4.1}
        severity: high
        summary: It stops.
        reached_by: Everybody.
        state: exploitable
        closed_by: [limit]
        accepted_until: 2027-01-31
"""


def ranged(*events: dict[str, str], kind: str = "SEMVER", **more: Any) -> dict[str, Any]:
    return {"ranges": [{"type": kind, "events": list(events)}], **more}


def record(ecosystem: str, package: str, told: dict[str, Any], name: str = "GO-2026-1") -> Record:
    return Record(name, (), ecosystem, package, told)


BEFORE_FIX = record("Go", "bao.example/bao", ranged({"introduced": "0"}, {"fixed": "2.4.1"}))


def placed(folder: Path, text: str = STATED) -> list[Placed]:
    folder.joinpath("one.yml").write_text(text)
    return statements.load(folder)


def kinds(judged: Judged) -> list[str]:
    return [finding.kind for finding in judged.findings]


@pytest.mark.parametrize(
    ("component", "told"),
    [
        (OPENBAO, BEFORE_FIX),
        (PYTHON, record("PyPI", "jinja2", {"versions": ["3.1.6"]}, "PYSEC-2026-1")),
        (PYTHON, record("PyPI", "jinja2", ranged({"introduced": "3"}, kind="ECOSYSTEM"), "PYSEC-2026-1")),
    ],
)
def test_what_nobody_speaks_of_is_found(component: Component, told: Record) -> None:
    judged = judge([component], [told], [], TODAY)
    assert kinds(judged) == ["unstated"]
    assert told.id in judged.findings[0].what
    assert [one.id for one in judged.known] == [told.id]


def test_what_is_not_affected_is_not_found() -> None:
    newer = record("Go", "bao.example/bao", ranged({"introduced": "2.5.0"}))
    other = record("PyPI", "bao.example/bao", ranged({"introduced": "0"}))
    assert judge([OPENBAO], [newer, other], [], TODAY) == Judged((), ())


def test_what_is_stated_is_no_finding(tmp_path: Path) -> None:
    judged = judge([OPENBAO], [BEFORE_FIX], placed(tmp_path), TODAY)
    assert kinds(judged) == []
    (known,) = judged.known
    assert known.statement is not None
    assert known.statement.where == "one.yml:12"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("version: v2.4.0", "version: v2.3.9"), "this version is not in the bill"),
        (("fixed: 2.4.1", "fixed: 2.4.0"), "v2.4.0 is not affected"),
    ],
)
def test_a_statement_about_what_is_no_longer_so_is_an_error(
    tmp_path: Path, change: tuple[str, str], reason: str
) -> None:
    judged = judge([OPENBAO], [], placed(tmp_path, STATED.replace(*change)), TODAY)
    assert kinds(judged) == ["stale"]
    assert reason in judged.findings[0].what


def test_a_statement_that_the_database_knows_better_is_an_error(tmp_path: Path) -> None:
    told = record("Go", "bao.example/bao", ranged({"introduced": "0"}, {"fixed": "2.4.0"}))
    assert kinds(judge([OPENBAO], [told], placed(tmp_path), TODAY)) == ["stale"]


def test_what_was_accepted_ends(tmp_path: Path) -> None:
    stated = placed(tmp_path)
    assert kinds(judge([OPENBAO], [], stated, date(2027, 1, 31))) == []
    assert kinds(judge([OPENBAO], [], stated, date(2027, 2, 1))) == ["expired"]


@pytest.mark.parametrize(
    "change",
    [("::test_what_is_stated_is_no_finding", "::test_nothing"), ("README.md", "docs/none.md")],
)
def test_what_closes_a_hole_must_be_there(tmp_path: Path, change: tuple[str, str]) -> None:
    assert not list(statements.unproved(placed(tmp_path)))
    stated = placed(tmp_path, STATED.replace(*change))
    assert kinds(with_proofs(Judged((), ()), statements.unproved(stated))) == ["unproved"]


def test_a_package_that_is_said_to_be_absent_is_looked_for(tmp_path: Path) -> None:
    text = STATED.replace(
        "state: exploitable", "state: not_affected\n        justification: code_not_present"
    )
    text = text.replace("accepted_until: 2027-01-31", "absent: [bao.example/bao/oci]")
    stated = placed(tmp_path, text)
    without, with_it = tmp_path / "without", tmp_path / "with"
    without.write_bytes(b"\0bao.example/bao/http.handler\0")
    with_it.write_bytes(b"\0bao.example/bao/oci.Download\0")
    assert not list(statements.present(stated, {"bao": without}))
    assert [what for _one, what in statements.present(stated, {"bao": with_it})] == [
        "bao.example/bao/oci is in bao"
    ]


def test_a_version_that_has_no_order_is_said() -> None:
    told = record("Go", "bao.example/bao", ranged({"introduced": "0"}, {"fixed": "latest"}))
    assert kinds(judge([OPENBAO], [told], [], TODAY)) == ["unreadable"]


@pytest.mark.parametrize(
    ("ecosystem", "version", "events", "inside"),
    [
        ("Go", "v0.0.0-20250828202315-f9407a27fbee", "0 < 0.0.0-20251022165510-cc2c476bac66", True),
        ("Go", "v0.0.0-20250828202315-f9407a27fbee", "0 < 0.0.0-20250806193153-183891f8d535", False),
        ("Go", "v28.3.3+incompatible", "0 < 28.3.3+incompatible", False),
        ("Go", "v6.0.0-alpha.4", "0 < 6.0.0-alpha.5", True),
        ("Go", "1.26.8", "1.26.0-0 < 1.26.9", True),
        ("Go", "1.27rc1", "1.27.0-0 < 1.27.0", True),
        ("PyPI", "26.1.0rc1", "0 < 26.1.0", True),
        ("PyPI", "1.10", "1.9 < 1.11", True),
        ("Debian:13", "1:1.0~rc1-1", "0 < 1:1.0-1", True),
        ("Debian:13", "1.0+deb13u2", "0 < 1.0+deb13u1", False),
    ],
)
def test_versions_lie_where_their_ecosystem_says(
    ecosystem: str, version: str, events: str, inside: bool
) -> None:
    first, _, fixed = events.partition(" < ")
    assert within(ecosystem, version, [{"introduced": first}, {"fixed": fixed}]) is inside


def test_a_range_may_open_again_and_name_its_last_version() -> None:
    told = ranged(
        {"introduced": "0"}, {"fixed": "1.2.0"}, {"introduced": "2.0.0"}, {"last_affected": "2.4.0"}
    )
    found = {v: affected("Go", v, told) for v in ("v1.1.9", "v1.2.0", "v1.9.0", "v2.0.0", "v2.4.0", "v2.4.1")}
    assert list(found.values()) == [True, False, False, True, True, False]


def test_debian_versions_are_ordered_as_dpkg_does() -> None:
    uppers = ("1.0", "1.0~rc1", "1.0~", "1.0a", "1.0+b", "1.00", "1.0.1", "1.a", "1.10", "1.9", "0")
    versions = [
        f"{epoch}{up}{rev}" for epoch, up, rev in product(("", "1:"), uppers, ("", "-1", "-1~bpo13+1"))
    ]
    pairs = list(combinations(versions, 2))[::7]
    script = "; ".join(f"dpkg --compare-versions '{a}' lt '{b}'; echo $?" for a, b in pairs)
    told = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout.split()
    ours = ["0" if debian_order(a) < debian_order(b) else "1" for a, b in pairs]
    assert [pair for pair, one, two in zip(pairs, told, ours, strict=True) if one != two] == []


def written(folder: Path, **fields: Any) -> Path:
    told = {"id": "GO-2026-1", "affected": [{"package": BAO}]}
    folder.joinpath("deep").mkdir(parents=True)
    folder.joinpath("deep/GO-2026-1.json").write_text(json.dumps(told | fields))
    folder.joinpath("modules.json").write_text('[{"path": "bao.example/bao"}]')
    return folder


def wanted(*components: Component) -> list[osv.Packaged]:
    return [part for one in components if (part := packaged(one)) is not None]


def test_a_database_is_a_folder_of_records(tmp_path: Path) -> None:
    found = [{"package": BAO, **ranged({"introduced": "0"})}, {"package": {**BAO, "name": "other"}}]
    place = written(tmp_path / "osv", aliases=["CVE-2026-0001"], affected=found)
    (told,) = osv.read(place, wanted(OPENBAO, PYTHON))
    assert told.names == {"GO-2026-1", "CVE-2026-0001"}
    assert osv.read(written(tmp_path / "gone", withdrawn="2026-01-01T00:00:00Z"), wanted(OPENBAO)) == []


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (None, "no OSV database"),
        ("{", "cannot be read as JSON"),
        (json.dumps({"id": "X", "affected": [{"package": BAO, "ranges": 7}]}), "no OSV record"),
        ('{"id": "X", "affected": 1}', "no OSV record"),
        ("[]", "no OSV database"),
    ],
)
def test_what_is_no_database_is_refused(tmp_path: Path, content: str | None, error: str) -> None:
    if content is not None:
        tmp_path.joinpath("one.json").write_text(content)
    with pytest.raises(SocleError, match=error):
        osv.read(tmp_path / ("" if content is not None else "none"), wanted(OPENBAO))


TRACKER = {
    "bash": {
        "CVE-2026-0002": {"status": "resolved", "fixed_version": "5.2.37-2+deb13u1", "urgency": "medium"},
        "CVE-2026-0003": {"status": "open", "urgency": "low", "nodsa": "Minor issue"},
        "CVE-2026-0004": {"status": "open", "urgency": "unimportant"},
        "CVE-2026-0005": {"status": "resolved", "fixed_version": "0", "urgency": "high"},
        "CVE-2026-0006": {"status": "resolved", "fixed_version": "5.2.37-1", "urgency": "high"},
        "CVE-2026-0007": {"status": "undetermined", "urgency": "high"},
    },
    "other": {"CVE-2026-0008": {"status": "open", "urgency": "high"}},
}


def test_debians_tracker_tells_which_packages_to_update(tmp_path: Path) -> None:
    told = {
        package: {name: {"releases": {"trixie": entry}} for name, entry in entries.items()}
        for package, entries in TRACKER.items()
    }
    told["bash"]["CVE-2026-0009"] = {"releases": {"bookworm": {"status": "open", "urgency": "high"}}}
    file = tmp_path / "tracker.json"
    file.write_text(json.dumps(told))
    judged = judge([BASH], debian.read(file, wanted(BASH, OPENBAO)), [], TODAY)
    assert [(finding.kind, finding.id) for finding in judged.findings] == [("update", "CVE-2026-0002")]
    assert [one.id for one in judged.known] == ["CVE-2026-0002", "CVE-2026-0003"]


@pytest.mark.parametrize("content", ["{", "[]", '{"bash": {"CVE-1": {}}}', '{"bash": 1}'])
def test_what_is_not_the_tracker_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "tracker.json"
    with pytest.raises(SocleError, match="no copy"):
        debian.read(file, wanted(BASH))
    file.write_text(content)
    with pytest.raises(SocleError, match="is not the JSON"):
        debian.read(file, wanted(BASH))


@pytest.mark.parametrize(
    ("former", "new", "error"),
    [
        ("accepted_until: 2027-01-31", "source: https://a.example/", "no end"),
        ("state: exploitable", "state: not_affected", "no end|says nothing of why"),
        ("state: exploitable", "state: harmless", 'state` is "harmless"'),
        ("severity: high", "severity: bad", 'severity` is "bad"'),
        ("closed_by: [limit]", "closed_by: [other]", "`other` is no closure"),
        ("fixed: 2.4.1", "fixed: latest", "cannot be compared: latest"),
        ("id: CVE-2026-0001", "id: CVE-26-1", "one.yml:12"),
        ("aliases: [GO-2026-1]", "aliases: [CVE-2026-0001, X]", "one.yml:13"),
        ("::test_what_is_stated_is_no_finding", "", "one.yml:6"),
        ("components:", "parts:", "components"),
        (STATED, "", "the file is empty"),
    ],
)
def test_a_wrong_statement_is_one_line(tmp_path: Path, former: str, new: str, error: str) -> None:
    with pytest.raises(SocleError, match=error) as caught:
        placed(tmp_path, STATED.replace(former, new))
    assert "one.yml:" in str(caught.value)


def test_a_vulnerability_is_stated_once(tmp_path: Path) -> None:
    again = STATED + STATED.partition("    statements:\n")[2].replace("CVE-2026-0001", "CVE-2026-0002")
    with pytest.raises(SocleError, match="GO-2026-1 is judged twice"):
        placed(tmp_path, again)


def test_the_bill_tells_what_is_stated(tmp_path: Path) -> None:
    known = judge([OPENBAO], [], placed(tmp_path), TODAY).known
    written_ = json.loads(bill(Component(name="kit", version="1"), [OPENBAO], "1", vex.plain(known)))
    (entry,) = written_["vulnerabilities"]
    assert entry["affects"] == [
        {
            "ref": written_["components"][0]["bom-ref"],
            "versions": [{"version": "v2.4.0", "status": "affected"}],
        }
    ]
    assert entry["analysis"] == {
        "state": "exploitable",
        "response": ["workaround_available"],
        "detail": "Everybody.",
    }
    assert {"name": "socle:accepted-until", "value": "2027-01-31"} in entry["properties"]
    assert entry["references"] == [
        {"id": "GO-2026-1", "source": {"name": "Go", "url": "https://pkg.go.dev/vuln/GO-2026-1"}}
    ]


def test_what_the_kit_states_is_about_what_it_pins_and_stands_on_tests() -> None:
    stated = statements.load()
    _kit, parts = sources.kit({})
    judged = judge(parts, [], stated, date.min)
    assert judged.findings == ()
    assert {one.id for one in judged.known} == {one.statement.id for one in stated}
    assert list(statements.unproved(stated)) == []


def test_the_release_of_openbao_that_is_judged_is_the_one_that_is_built() -> None:
    (release,) = {one.about.release for one in statements.load() if one.about.component.endswith("openbao")}
    assert release == recipes()["bao"].version


def test_no_stack_comes_from_a_repository() -> None:
    """CVE-2026-71556, CVE-2026-71557: go-git is for programs of stacks that Pulumi checks out itself."""
    text = (project_root() / "src/socle/tenants/stack.py").read_text("utf-8")
    assert "program=" in text
    code = [*project_root().glob("src/**/*.py"), *project_root().glob("stacks/**/*.py")]
    remote = r"\bRemote(?:Git|Stack|Workspace)|create_or_select_remote|\bGitRepo|repo_url"
    assert [path.name for path in code if re.search(remote, path.read_text("utf-8"))] == []
