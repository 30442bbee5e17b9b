"""Configuration of services as facts: every form is read, no secret gets in, and differences are found."""

from __future__ import annotations

import json
import pickle
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleError

from socle import catalogue
from socle.audit.collect import declared, render, rendered, services, session
from socle.audit.collect.agent_configuration import MASK, form_of, options_of, without_secrets
from socle.audit.collect.agent_services import found_file
from socle.audit.collect.session import HostAnswer
from socle.errors import SocleError
from socle.paths import project_root
from socle.site import Site, load
from tests.unit.audit_golden import FOLDER

WORD = "hunter2-hunter2"


@pytest.fixture(scope="module")
def lab() -> Site:
    return load(project_root() / "inventories/lab")


@pytest.mark.parametrize(
    ("path", "text", "option", "value"),
    [
        ("/etc/nova/nova.conf", "[DEFAULT]\ndebug = false\n# debug = true\n", "DEFAULT.debug", "false"),
        ("/etc/nova/api-paste.ini", "[composite:a]\n/: b\nkeystone = cors\n  audit\n", "composite:a./", "b"),
        (
            "/etc/nova/api-paste.ini",
            "[composite:a]\nkeystone = cors\n  audit\n",
            "composite:a.keystone",
            "cors audit",
        ),
        ("/etc/nova/nova-api-uwsgi.ini", "[uwsgi]\nenv = A=1\nenv = B=2\n", "uwsgi.env", ["A=1", "B=2"]),
        (
            "/etc/mysql/mariadb.conf.d/90-socle.cnf",
            "[mariadbd]\nskip-name-resolve\nlocal-infile=0\n",
            "mariadbd.local_infile",
            "0",
        ),
        ("/etc/rabbitmq/rabbitmq.conf", "listeners.tcp = none\n", "listeners.tcp", "none"),
        ("/etc/memcached.conf", "# a\n-U 0\n", "-U", "0"),
        (
            "/etc/haproxy/haproxy.cfg",
            "listen nova\n  bind 10.0.0.1:1 ssl\n  bind 10.0.0.2:1\n",
            "listen nova.bind",
            ["10.0.0.1:1 ssl", "10.0.0.2:1"],
        ),
        (
            "/etc/openstack-dashboard/local_settings.py",
            "DEBUG = False\nX = _('a')\nHORIZON_CONFIG = {'password_validator': {'regex': 'x'}}\n",
            "HORIZON_CONFIG",
            {"password_validator": {"regex": "x"}},
        ),
        (
            "/etc/apache2/sites-available/socle-horizon.conf",
            "TraceEnable Off\n<VirtualHost *:1>\n  ServerName a\n</VirtualHost>\n",
            "VirtualHost *:1.ServerName",
            "a",
        ),
        (
            "/etc/libvirt/libvirtd.conf",
            'tls_allowed_dn_list = ["CN=a", "CN=b"]\n',
            "tls_allowed_dn_list",
            ["CN=a", "CN=b"],
        ),
        ("/etc/nova/policy.yaml", '"os_compute_api:os-rescue": "!"\n', "os_compute_api:os-rescue", "!"),
        (
            "/etc/openbao/openbao.hcl",
            'listener "tcp" {\n  address = "10.0.0.1:8200"\n}\n',
            "listener.tcp.address",
            "10.0.0.1:8200",
        ),
    ],
)
def test_every_form_is_read(path: str, text: str, option: str, value: Any) -> None:
    options = options_of(path, text)
    assert options is not None
    assert options[option] == value


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/nova/policy.yaml", "rules:\n  - a\n"),
        ("/etc/openstack-dashboard/local_settings.py", "DEBUG = (\n"),
        ("/etc/apache2/ports.conf", "</VirtualHost>\n"),
    ],
)
def test_a_file_of_another_form_is_unread(path: str, text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        options_of(path, text)


def test_a_path_of_no_known_form_has_no_options() -> None:
    assert form_of("/etc/shadow") is None
    assert options_of("/etc/ceph/ceph.client.admin.keyring", f"key = {WORD}") is None


@pytest.mark.parametrize(
    "name",
    [
        "keystone_authtoken.password",
        "DEFAULT.transport_url",
        "neutron.metadata_proxy_shared_secret",
        "SECRET_KEY",
        "DEFAULT.admin_token",
        "mariadbd.wsrep_sst_auth",
        "key_manager.fixed_key",
        "simple_crypto_plugin.kek",
        "default_pass",
        "secret_id",
        "cache.memcache_secret_key",
        "database.connection",
    ],
)
def test_secrets_are_left_out_by_the_names_of_their_options(name: str) -> None:
    assert without_secrets(name, WORD) == MASK
    assert without_secrets(name, [WORD]) == [MASK]
    assert without_secrets("A", {name: WORD}) == {name: MASK}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("database.connection", f"mysql+pymysql://nova:{WORD}@10.0.0.1:3306/nova?ssl_ca=/etc/ca.pem"),
        ("DEFAULT.transport_url", f"rabbit://nova:{WORD}@10.0.0.1:5671,nova:{WORD}@10.0.0.2:5671/"),
        ("coordination.backend_url", f"mysql://cinder:{WORD}@10.0.0.1:3306/cinder"),
        ("listen stats.stats", f"auth admin:{WORD}"),
        ("whatever.url", f"https://a:{WORD}@b/"),
    ],
)
def test_secrets_are_left_out_where_they_stand_in_a_value(name: str, value: str) -> None:
    told = without_secrets(name, value)
    assert WORD not in told
    assert MASK in told


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ssl_key", "/etc/socle/tls/mariadb.key"),
        ("SESSION_COOKIE_SECURE", "True"),
        ("token.provider", "fernet"),
        ("identity.password_hash_algorithm", "bcrypt_sha256"),
        ("DEFAULT.max_token_size", "255"),
        ("keystone_authtoken.auth_url", "https://10.0.0.1:5000"),
        ("database.connection", ""),
    ],
)
def test_what_is_no_secret_can_be_judged(name: str, value: str) -> None:
    assert without_secrets(name, value) == value


def test_what_was_recorded_holds_no_login() -> None:
    for path in FOLDER.glob("*/*.json"):
        assert not [
            line
            for line in path.read_text("utf-8").splitlines()
            if "://" in line and "@" in line and f"{MASK}@" not in line
        ], path


def test_a_file_is_found_with_its_rights(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_text("a")
    file.chmod(0o640)
    (tmp_path / "link").symlink_to("x")
    found = found_file(str(file))
    assert (found["state"], found["mode"], len(found["sha256"])) == ("file", "0640", 64)
    assert found_file(str(tmp_path / "link")) == {"state": "link", "target": "x"}
    assert found_file(str(tmp_path))["state"] == "directory"
    assert found_file(str(tmp_path / "none")) == {"state": "absent"}


WANTED: dict[str, declared.Files] = {
    "nova": {
        "/etc/nova/nova.conf": {
            "state": "file",
            "owner": "root",
            "group": "nova",
            "mode": "0640",
            "options": {"DEFAULT.debug": "false", "vnc.password": MASK},
        },
        "/etc/default/old": {"state": "absent"},
        "/usr/local/sbin/x": {
            "state": "file",
            "owner": "root",
            "group": "root",
            "mode": "0755",
            "sha256": "a" * 64,
        },
    }
}


def as_wanted() -> dict[str, Any]:
    return json.loads(json.dumps(WANTED["nova"]))


def test_a_host_that_is_as_declared_has_no_difference() -> None:
    assert not list(declared.differences(WANTED, as_wanted()))


@pytest.mark.parametrize(
    ("path", "change", "what"),
    [
        ("/etc/nova/nova.conf", {"mode": "0644"}, "mode"),
        ("/etc/nova/nova.conf", {"owner": "nova"}, "owner"),
        (
            "/etc/nova/nova.conf",
            {"options": {"DEFAULT.debug": "true", "vnc.password": MASK}},
            "DEFAULT.debug",
        ),
        (
            "/etc/nova/nova.conf",
            {"options": {"DEFAULT.debug": "false", "vnc.password": MASK, "a.b": "1"}},
            "a.b",
        ),
        ("/etc/default/old", {"state": "file"}, "state"),
        ("/usr/local/sbin/x", {"sha256": "b" * 64}, "sha256"),
    ],
)
def test_each_difference_is_found(path: str, change: dict[str, Any], what: str) -> None:
    found = as_wanted()
    found[path] |= change
    assert [(one.path, one.what) for one in declared.differences(WANTED, found)] == [(path, what)]


@pytest.mark.parametrize(("name", "is_declared"), [("nova-b", True), ("nova", True), ("nova-c", False)])
def test_the_account_that_a_rotation_uses_in_turn_is_declared_too(name: str, is_declared: bool) -> None:
    wanted, found = json.loads(json.dumps(WANTED)), as_wanted()
    wanted["nova"]["/etc/nova/nova.conf"]["options"]["keystone_authtoken.username"] = "nova"
    found["/etc/nova/nova.conf"]["options"]["keystone_authtoken.username"] = name
    assert (not list(declared.differences(wanted, found))) is is_declared


def test_the_number_of_a_key_of_a_ring_is_no_difference() -> None:
    ring = {f"/etc/keystone/fernet-keys/{number}": {"state": "file"} for number in (0, 1)}
    moved = {path: {"state": "absent"} for path in ring}
    assert not list(declared.differences({"keystone": ring}, moved))
    other = {"/etc/keystone/fernet-keys/x": {"state": "file"}}
    assert list(declared.differences({"keystone": other}, {path: {"state": "absent"} for path in other}))


def test_a_file_that_was_not_read_is_a_difference() -> None:
    found = as_wanted()
    del found["/usr/local/sbin/x"]
    assert [one.path for one in declared.differences(WANTED, found)] == ["/usr/local/sbin/x"]


def test_roles_that_cannot_be_rendered_are_told(lab: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    done = subprocess.CompletedProcess([], 1, "", "Traceback\nAnsibleError: no template\n")
    monkeypatch.setattr(subprocess, "run", lambda *_a, **_k: done)
    declared.new_pass()
    with pytest.raises(SocleError, match="no template"):
        list(rendered.COLLECTORS[0].read(lab))
    assert declared.paths(lab, lab.hosts["ctl1"]) == {}


def test_roles_are_rendered_before_any_binary_is_built(
    lab: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOCLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SOCLE_STATE", str(tmp_path / "state"))
    declared.new_pass()
    found = declared.of_hosts(lab)
    declared.new_pass()
    assert {host: set(components) for host, components in found.items()} == {
        name: set(catalogue.load().of_groups(host.groups)) for name, host in lab.hosts.items()
    }
    openbao = found["sec1"]["openbao"]
    assert openbao["/usr/local/bin/bao"] == {"state": "link"}
    assert "sha256" not in openbao["/etc/systemd/system/openbao.service"]
    assert not list((tmp_path / "cache/bin").iterdir())


def test_what_stops_ansible_is_told_across_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_host: str, _role: object) -> None:
        raise AnsibleError("no template\nhere")

    variables = SimpleNamespace(rendered=fails, components=lambda _host: ["nova"])
    monkeypatch.setattr(render, "_variables", [variables])
    with pytest.raises(ValueError, match="ctl1: no template here") as told:
        render._host("ctl1")
    assert str(pickle.loads(pickle.dumps(told.value))) == "ctl1: no template here"  # noqa: S301 - our own


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (HostAnswer(problem="session impossible"), "session impossible"),
        (HostAnswer({}), "n’a pas répondu"),
        (HostAnswer({"configuration": {"problem": "interdit"}}), "interdit"),
        (HostAnswer({"configuration": {"value": []}}), "réponse inattendue"),
        (
            HostAnswer({"configuration": {"value": {"/etc/nova/nova.conf": {"unreadable": "x"}}}}),
            "réponse inattendue",
        ),
    ],
)
def test_a_host_that_does_not_tell_leaves_its_facts_unread(
    answer: HostAnswer, why: str, lab: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "read_hosts", lambda _site: dict.fromkeys(lab.hosts, answer))
    monkeypatch.setattr(declared, "of_hosts", lambda _site: dict.fromkeys(lab.hosts, WANTED))
    facts = {fact.name: fact for fact in services.COLLECTORS[0].read(lab)}
    assert facts["config.nova"].value is None
    assert why in (facts["config.nova"].problem or "")


def test_a_host_is_asked_for_the_files_that_its_roles_lay(lab: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declared, "of_hosts", lambda _site: dict.fromkeys(lab.hosts, WANTED))
    asked = session.questions(lab, lab.hosts["ctl1"])["configuration"]
    assert asked == {"nova": sorted(WANTED["nova"])}
