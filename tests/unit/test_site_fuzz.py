"""Whatever bytes a site file holds, the answer is a site or a list of lines: never a traceback."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from socle.errors import SocleError
from socle.paths import project_root
from socle.site import SiteErrors, load
from socle.site.document import read
from socle.site.schema import MODELS

LAB = project_root() / "inventories" / "lab"
FILES = sorted(str(path.relative_to(LAB)) for path in LAB.rglob("*.yml"))
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

NEARLY_RIGHT = """
10.77.0.1 0.0.0.0 ::1 fe80::1%eth0 10.77.0.0/24 10.77.4.1/32 0.0.0.0/0 ::/0 130000003 210000014
2027-01-04 9999-12-31 0001-01-01 2026-01-01T00:00:00Z XS L XL certified erased production recette
ctl1 cmp1 sto1 controllers lab web socle.nano socle-web internet site dns custodians shamir health ~
"""
PLAUSIBLE = [*NEARLY_RIGHT.split(), 0, 1, 2, 3, 24, 29, 65535, 10_000_000, True, False, 0.1, 1.0]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(PLAUSIBLE)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def judge(name: str, content: bytes) -> None:
    """Load the lab with one file replaced; every error is one line that names a file and a line."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "lab"
        shutil.copytree(LAB, folder)
        (folder / name).write_bytes(content)
        for error in errors_of(folder):
            where, line = str(error.where).rsplit(":", 1)
            assert error.line().isprintable()
            assert where.startswith(str(folder))
            assert int(line) >= 1
            assert len(error.line()) < 1200


def errors_of(folder: Path) -> list[SocleError]:
    """The errors of a site; none when it loads."""
    try:
        load(folder)
    except SiteErrors as errors:
        return errors.errors or [SocleError("a refusal without an error")]
    return []


@QUICK
@given(st.sampled_from(FILES), st.binary(max_size=400))
def test_any_bytes(name: str, content: bytes) -> None:
    judge(name, content)


@QUICK
@given(st.sampled_from(FILES), st.text(alphabet="abc:-[]{}&*!|>'\"%@`#?, \n\t0129.~é\0\x1b", max_size=200))
def test_text_that_looks_like_yaml(name: str, text: str) -> None:
    judge(name, text.encode())


@QUICK
@given(st.sampled_from(FILES), st.data())
def test_a_shipped_file_with_some_bytes_changed(name: str, data: st.DataObject) -> None:
    content = bytearray((LAB / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    judge(name, bytes(content))


def paths_in(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a nested value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(path for key, item in inside for path in paths_in(item, (*at, key)))]


@settings(QUICK, max_examples=80)
@given(st.sampled_from(FILES), st.data())
def test_any_value_in_the_place_of_another(name: str, data: st.DataObject) -> None:
    yaml = YAML(typ="safe")
    root = yaml.load(LAB / name)
    path = data.draw(st.sampled_from(paths_in(root)[1:]))
    holder = root
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = data.draw(VALUES)
    with tempfile.TemporaryFile("w+", encoding="utf-8") as stream:
        yaml.dump(root, stream)
        stream.seek(0)
        judge(name, stream.read().encode("utf-8", "surrogatepass"))


@QUICK
@given(st.sampled_from(sorted(MODELS)), VALUES)
def test_reading_a_written_value_gives_it_back_or_says_why(model: str, value: Any) -> None:
    with tempfile.TemporaryDirectory() as parent:
        path = Path(parent) / f"{model}.yml"
        with path.open("w", encoding="utf-8", errors="surrogatepass") as stream:
            YAML(typ="safe").dump({"a": value}, stream)
        document = read(path)
        assert document.faults or set(document.root) == {"a"}
