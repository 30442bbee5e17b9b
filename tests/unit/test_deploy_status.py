"""What ``socle status`` makes of answers, and of answers that do not come."""

from __future__ import annotations

import datetime
import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.resources import files
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from socle import catalogue
from socle.cli.app import run
from socle.deploy.nodes import Certificate, NodeFacts, Unit
from socle.deploy.playbook import unreachable
from socle.deploy.status import Section, cloud, endpoints, machines, openbao
from socle.deploy.status.finding import Finding
from socle.errors import SocleError
from socle.paths import project_root, state_dir
from socle.site import Site, load
from socle.vault import NodeStatus, place_of

NAME = "cloud.lab.socle.test"


@pytest.fixture(scope="module")
def site() -> Site:
    return load(project_root() / "inventories/lab")


def facts(units: tuple[Unit, ...] = (), days_left: int = 29, disk_free: int = 5000) -> NodeFacts:
    held = (Certificate("endpoints", NAME, days_left),)
    return NodeFacts("13.7", 90061, 0.1, 2, 4096, 2048, 10000, disk_free, units, held)


def answers(site: Site, **ill: Any) -> dict[str, NodeFacts | SocleError]:
    """All units of all nodes run, but for those that are named."""
    found: dict[str, NodeFacts | SocleError] = {}
    for host in site.hosts.values():
        names = [u for c in catalogue.load().of_groups(host.groups).values() for u in c.units]
        units = tuple(
            Unit(n, "loaded", "failed" if n in ill.get("units", ()) else "active", "x") for n in names
        )
        found[host.name] = facts(units)
    return {**found, **ill.get("answers", {})}


def machine(site: Site, monkeypatch: pytest.MonkeyPatch, **ill: Any) -> dict[str, Section]:
    monkeypatch.setattr(machines, "ask_all", lambda *_given: answers(site, **ill))
    return {section.name: section for section in machines.machine_sections(site, catalogue.load())}


def not_well(section: Section) -> list[tuple[str, str, str]]:
    return [(f.subject, f.state, f.reason) for f in section.findings if not f.well]


def test_what_a_host_cannot_do_is_not_evaluated_and_no_fault(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = machine(site, monkeypatch)
    assert all(section.well for section in found.values())
    base = next(f for f in found["services"].findings if f.subject == "base")
    assert (base.state, base.reason) == ("not evaluated", "the hosts cannot set their clocks")


def test_a_unit_that_does_not_run_names_its_node(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    found = machine(site, monkeypatch, units=["nova-compute"])
    assert not_well(found["services"]) == [
        ("nova_compute", "not well", "cmp1: nova-compute is failed; cmp2: nova-compute is failed")
    ]


def test_a_node_that_is_away_leaves_its_services_not_evaluated(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = {"sto1": unreachable(site, "sto1", "No route to host")}
    found = machine(site, monkeypatch, answers=away)
    assert [item[:2] for item in not_well(found["nodes"])] == [("sto1", "not well")]
    assert ("ceph", "not evaluated", "sto1 does not answer") in not_well(found["services"])


def test_a_full_disk_and_an_old_certificate_are_not_well(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    found = machine(site, monkeypatch, answers={"ctl1": facts(days_left=2, disk_free=10)})
    assert [item[0] for item in not_well(found["nodes"])] == ["ctl1"]
    assert "10 MiB free" in not_well(found["nodes"])[0][2]
    assert [item[0] for item in not_well(found["certificates"])] == ["ctl1/endpoints"]


def test_the_script_for_nodes_speaks_of_this_machine() -> None:
    script = files("socle.deploy").joinpath("node_facts.py").read_text()
    done = subprocess.run([sys.executable, "-"], input=script, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["memory_total"] > found["memory_available"] > 0
    assert found["disk_total"] > found["disk_free"] > 0
    assert found["units"] == []


def test_the_script_for_nodes_reads_what_systemd_says(tmp_path: Path) -> None:
    first = "Id=a.service\nLoadState=loaded\nActiveState=active\nSubState=running\n"
    second = "Id=b.service\nLoadState=not-found\nActiveState=inactive\nSubState=dead\n"
    said = f"{first}\n{second}"
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f"#!/bin/sh\ncat <<'END'\n{said}END\n")
    systemctl.chmod(0o755)
    script = files("socle.deploy").joinpath("node_facts.py").read_text()
    done = subprocess.run(
        [sys.executable, "-", "alias", "b"],
        input=script,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    units = [Unit(**unit) for unit in json.loads(done.stdout)["units"]]
    assert [(unit.name, unit.well) for unit in units] == [("alias", True), ("b", False)]


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for the public name, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    (folder / "key").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    return folder / "crt", folder / "key"


class Answering(BaseHTTPRequestHandler):
    """Answers 200 to /well and 503 to the rest."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/well" and self.headers["Host"].startswith(NAME) else 503)
        self.end_headers()

    def log_message(self, *_words: Any) -> None:
        """Nothing."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A TLS server on the loopback: its port, and the authority to trust."""
    crt, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(crt, key)
    with HTTPServer(("127.0.0.1", 0), Answering) as answering:
        answering.socket = context.wrap_socket(answering.socket, server_side=True)
        threading.Thread(target=answering.serve_forever, daemon=True).start()
        yield answering.server_port, crt
        answering.shutdown()


def ask(port: int, authority: Path, path: str = "/well", name: str = NAME) -> Finding:
    item = endpoints.Published("nova, public", name, "127.0.0.1", port, path)
    return endpoints._ask(item, ssl.create_default_context(cafile=str(authority)))


def test_an_end_point_is_asked_by_its_address_under_its_name(server: tuple[int, Path]) -> None:
    finding = ask(*server)
    assert (finding.state, finding.facts["status"]) == ("well", 200)


def test_an_end_point_that_answers_with_an_error_is_not_well(server: tuple[int, Path]) -> None:
    assert ask(*server, path="/").reason == "answers 503 Service Unavailable"


def test_an_end_point_with_another_name_or_authority_is_not_well(
    server: tuple[int, Path], tmp_path: Path
) -> None:
    port, authority = server
    assert "certificate verify failed" in ask(port, authority, name="other.lab.socle.test").reason
    (tmp_path / "other").mkdir()
    other, _key = certificate(tmp_path / "other")
    assert "certificate verify failed" in ask(port, other).reason


def test_an_end_point_that_is_down_is_not_well(server: tuple[int, Path]) -> None:
    assert "Connection refused" in ask(1, server[1]).reason


def test_every_published_api_is_asked(site: Site) -> None:
    found = list(endpoints.published(site, catalogue.load()))
    assert {"keystone, internal", "keystone, public", "horizon web, public"} <= {p.subject for p in found}
    assert all(ip_address(item.address) for item in found)
    assert "nova metadata, public" not in {p.subject for p in found}


def test_a_site_without_authority_says_what_to_run(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOCLE_STATE", str(tmp_path))
    (section,) = endpoints.endpoint_section(site, catalogue.load())
    assert "run `socle deploy`" in section.findings[0].reason
    assert not section.well


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({"reachable": False, "reason": "refused"}, "does not answer: refused"),
        ({"reachable": True}, "is not initialised; run `socle deploy`, or `socle vault init`"),
        (
            {"reachable": True, "initialised": True},
            "is sealed; run `socle deploy`, or `socle vault unseal`",
        ),
        ({"reachable": True, "initialised": True, "sealed": False, "active": True}, ""),
    ],
)
def test_the_seal_is_said(
    site: Site, monkeypatch: pytest.MonkeyPatch, status: dict[str, Any], reason: str
) -> None:
    node = place_of(site, catalogue.load()).nodes[0]
    monkeypatch.setattr(openbao.vault, "status", lambda _place: (NodeStatus(node, **status),))
    monkeypatch.setattr(openbao.audit, "devices", lambda _place: ())
    section, audited = openbao.openbao_section(site, catalogue.load())
    assert not audited.well, "nothing was read"
    assert section.findings[0].reason == reason
    assert section.well is (reason == "")


def test_without_openbao_agents_and_capacity_are_not_evaluated(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sealed(*_given: Any) -> None:
        raise SocleError("OpenBao is sealed")

    monkeypatch.setattr(cloud, "connect", sealed)
    for section in cloud.cloud_sections(site, catalogue.load()):
        assert [(f.state, f.reason) for f in section.findings] == [("not evaluated", "OpenBao is sealed")]
        assert not section.well


def test_an_agent_that_is_silent_is_not_well_and_one_api_that_fails_hides_no_other(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise ConnectionError("no cinder")

    service = SimpleNamespace(binary="nova-compute", host="cmp1", state="down", status="enabled")
    agent = SimpleNamespace(
        binary="ovn-controller", agent_type="", host="cmp1", is_alive=True, is_admin_state_up=True
    )
    connection = SimpleNamespace(
        authorize=lambda: None,
        compute=SimpleNamespace(services=lambda: [service]),
        network=SimpleNamespace(agents=lambda: [agent], networks=list, network_ip_availabilities=list),
        block_storage=SimpleNamespace(services=refuse, backend_pools=refuse),
        placement=SimpleNamespace(resource_providers=list),
    )
    monkeypatch.setattr(cloud, "connect", lambda *_given: connection)
    agents, _capacity = cloud.cloud_sections(site, catalogue.load())
    assert [(f.subject, f.state) for f in agents.findings] == [
        ("nova-compute on cmp1", "not well"),
        ("ovn-controller on cmp1", "well"),
        ("Cinder", "not evaluated"),
    ]


def test_the_command_shows_findings_and_ends_with_1_when_something_is_not_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOCLE_STATE", str(tmp_path))
    sections = [Section("nodes", "Nodes", (Finding("ctl1", "not well", {"load": 1.0}, "the disk is full"),))]
    monkeypatch.setattr("socle.cli.watching.gather", lambda *_given: sections)
    assert run(["status"]) == 1
    assert "Nodes: ctl1: not well: the disk is full" in capsys.readouterr().out
    assert run(["status", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["well"], found["nodes"][0]["reason"]) == (False, "the disk is full")
    assert state_dir("lab").is_dir()
