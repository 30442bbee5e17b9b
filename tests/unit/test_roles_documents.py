"""Roles are all alike: documented, complete, with nothing left over, and with no port of their own."""

from __future__ import annotations

import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from socle.catalogue import load
from socle.deploy.described import LaidFile, Role, SiteVariables, read_yaml, roles
from socle.paths import project_root

ROOT = project_root()
SITES = ("lab", "modele-gip")
ALL = pytest.mark.parametrize("role", roles(), ids=lambda role: role.name)
REQUIRED = ("tasks/main.yml", "vars/main.yml", "meta/main.yml", "meta/argument_specs.yml", "README.md")
# What is used in one breath with a port: `:8200`, `port: 8200`, `port=8200`, `PORT 8200`.
PORT_OF = r"(?:[:=]|port)\s*[\"']?{0}(?!\d)"


@pytest.fixture(scope="module", autouse=True)
def without_vault() -> object:
    """Secrets read alike: no OpenBao is asked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOCLE_PLAN_WITHOUT_VAULT", "1")
        yield


@pytest.fixture(scope="module")
def laid(without_vault: object) -> list[LaidFile]:
    """Every file that any role lays on any host of the shipped sites: one controller, and three."""
    sites = [SiteVariables(name) for name in SITES]
    return [
        file
        for site in sites
        for host in site.hosts
        for component in site.components(host)
        for file in site.laid(host, Role(component), "*.yml")
    ]


def writer() -> ModuleType:
    """The script that writes the READMEs."""
    spec = spec_from_file_location("write_role_readmes", ROOT / "tools/write_role_readmes.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_component_has_its_role_and_no_role_is_without_one() -> None:
    assert {role.name for role in roles()} == set(load().components)


def test_readmes_are_current() -> None:
    stale = [
        str(path.relative_to(ROOT))
        for path, text in writer().readmes().items()
        if not path.is_file() or path.read_text("utf-8") != text
    ]
    assert not stale, "run tools/write_role_readmes.py"


def test_playbooks_run_every_role_once() -> None:
    used = []
    for playbook in read_yaml(ROOT / "playbooks/site.yml"):
        for play in read_yaml(ROOT / "playbooks" / playbook["ansible.builtin.import_playbook"]):
            used += [entry["role"] if isinstance(entry, dict) else entry for entry in play.get("roles", [])]
    assert set(used) == {role.name for role in roles()}
    assert not [name for name in set(used) if used.count(name) > 1 and name != "ceph_client"]


@ALL
def test_the_role_has_all_its_parts(role: Role) -> None:
    assert not [part for part in REQUIRED if not (role.folder / part).is_file()]
    assert role.specification["short_description"]
    assert role.specification["description"]


@ALL
def test_options_are_the_defaults(role: Role) -> None:
    options = role.specification.get("options") or {}
    assert set(options) == set(role.defaults)
    for name, option in options.items():
        assert name.startswith(role.name)
        assert option.get("type"), name
        assert option.get("description"), name


@ALL
def test_variables_bear_the_name_of_the_role(role: Role) -> None:
    assert not [name for name in role.variables if not name.startswith(f"{role.name}_")]
    registered = [task["register"] for task in role.tasks if "register" in task]
    assert not [name for name in registered if not name.startswith(role.name)]


@ALL
def test_every_option_is_used(role: Role) -> None:
    text = "".join(
        path.read_text("utf-8")
        for part in ("tasks", "vars", "templates", "handlers")
        for path in (role.folder / part).rglob("*")
        if path.is_file()
    )
    shared = "".join(p.read_text("utf-8") for p in (ROOT / "templates").rglob("*.j2"))
    # The workers' count is read by the shared template of uwsgi under the name of the role.
    unused = [name for name in role.defaults if not re.search(rf"\b{name}\b", text + shared)]
    assert not unused


@ALL
def test_what_wakes_is_a_handler_and_every_handler_is_woken(role: Role, laid: list[LaidFile]) -> None:
    woken = {handler for file in laid if file.role == role.name for handler in file.wakes}
    notified = {name for task in role.tasks for name in _listed(task.get("notify"))}
    names = [handler["name"] for handler in role.handlers]
    assert len(names) == len(set(names))
    assert woken | notified == set(names)


@ALL
def test_templates_are_exactly_those_that_are_laid(role: Role, laid: list[LaidFile]) -> None:
    named = {file.template for file in laid if file.role == role.name and file.template}
    shared = {str(path.relative_to(ROOT / "templates")) for path in (ROOT / "templates").rglob("*.j2")}
    assert named - shared == role.templates


def test_no_secret_file_is_for_the_world(laid: list[LaidFile]) -> None:
    secret = [file for file in laid if file.secret and file.state == "file"]
    assert secret
    assert not sorted({f"{file.role}: {file.path} {file.mode}" for file in secret if file.for_the_world})


def test_a_file_with_a_secret_in_it_says_so(laid: list[LaidFile]) -> None:
    """A template that looks up a secret must be marked, so that it is in no diff and not for the world."""
    looks_up = re.compile(r"(?:lookup|query)\('secret', ([^)]*)\)|\| \w+_password\b")
    open_files = set()
    for file in laid:
        source = _source(file)
        if source and not file.secret:
            terms = [match[1] or "" for match in looks_up.finditer(source.read_text("utf-8"))]
            open_files |= {f"{file.role}: {file.path}" for term in terms if not _is_identifier(term)}
    assert not sorted(open_files)


@pytest.mark.parametrize("path", ["roles", "src/socle", "playbooks", "templates", "stacks"])
def test_ports_of_the_catalogue_are_written_nowhere_else(path: str) -> None:
    ports = {str(entry.port) for c in load().components.values() for entry in c.listeners.values()} - {"22"}
    pattern = re.compile(PORT_OF.format(f"({'|'.join(sorted(ports))})"), re.IGNORECASE)
    sources = [
        file
        for file in (ROOT / path).rglob("*")
        if file.is_file() and file.suffix in {".py", ".yml", ".j2", ".sh"} and file.name != "services.yml"
    ]
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()}"
        for file in sources
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found


def test_a_port_would_be_found() -> None:
    pattern = re.compile(PORT_OF.format("(8774|5000)"), re.IGNORECASE)
    for line in ('url: "https://cloud:8774/v2.1"', "port=5000", "port: 5000", "PORT 5000"):
        assert pattern.search(line)
    assert not pattern.search("timeout: 50000")


def _listed(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else value or []


def _is_identifier(term: str) -> bool:
    """A UUID is kept in OpenBao so that it stays the same; it opens nothing."""
    component, _slash, name = term.strip("'").partition("/")
    entry = load().components.get(component)
    return entry is not None and entry.secrets.get(name) == "uuid"


def _source(file: LaidFile) -> Path | None:
    if file.template is None:
        return None
    own = Role(file.role).folder / "templates" / file.template
    return own if own.is_file() else ROOT / "templates" / file.template
