"""Every port that the catalogue calls encrypted is: today's TLS, the site's authority, no plaintext."""

from __future__ import annotations

import json

import pytest

from tests.roles.lab import CATALOGUE, PAIRS, SITE, feed, on, output
from tests.roles.test_components import BETWEEN_CONTROLLERS

CERTIFICATES = {"controllers": "proxy", "computes": "chassis", "vault": "openbao"}
"""What a node of a group shows when it is a client."""
STARTS_IN_CLEAR = {("mariadb", "sql"), ("nova_compute", "console"), ("nova_compute", "migration")}
"""The protocol itself changes over to TLS, or nobody listens without a guest: tested by themselves."""
PORTS = [
    (node, component, name)
    for node, component in PAIRS
    for name, entry in CATALOGUE[component].listeners.items()
    if entry.tls in {"server", "mutual"} and name not in BETWEEN_CONTROLLERS
    if (component, name) not in STARTS_IN_CLEAR
]
each_port = pytest.mark.parametrize(
    ("node", "component", "name"), PORTS, ids=["-".join(port) for port in PORTS]
)

# Asked by the node itself: its firewall lets nobody else in. Prints what each way of asking gets.
PROBE = """
import json, socket, ssl, sys
at, port, certificate, authority = json.loads(sys.argv[1])

def context(versions, named):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.load_verify_locations(authority)
    if versions[0] < ssl.TLSVersion.TLSv1_2:
        made.set_ciphers("ALL:@SECLEVEL=0")
        made.verify_mode = ssl.CERT_NONE
    made.minimum_version, made.maximum_version = versions
    if named:
        made.load_cert_chain(certificate)
    return made

def hangs_up(tls, seconds):
    tls.settimeout(seconds)
    try:
        return tls.recv(1) == b""
    except TimeoutError:
        return False

def attempt(made, patience=0):
    try:
        with socket.create_connection((at, port), 5) as plain, made.wrap_socket(plain) as tls:
            # With TLS 1.3 the server looks at the certificate, or misses it, when the client is through.
            if patience and hangs_up(tls, patience):
                return "refused: hung up before anything was asked"
            tls.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
            hangs_up(tls, 1.5)
            return tls.version()
    except (ssl.SSLError, ConnectionError) as error:
        return "refused: " + type(error).__name__

new, old = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3), (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
with socket.create_connection((at, port), 5) as plain:
    plain.settimeout(3)
    try:
        plain.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
        clear = plain.recv(200)
    except (TimeoutError, ConnectionError):
        clear = b""
print(json.dumps({
    "named": attempt(context(new, True)), "unnamed": attempt(context(new, False), 3),
    "old": attempt(context(old, True)), "clear": clear.decode("latin-1"),
}))
"""


def probe(node: str, at: str, port: int) -> dict[str, str]:
    """What a port answers to a client of today, without certificate, of yesterday, and in clear."""
    certificate = next(c for group, c in CERTIFICATES.items() if group in SITE.hosts[node].groups)
    given = json.dumps([at, port, f"/etc/socle/tls/{certificate}.pem", f"/etc/socle/tls/{certificate}.ca"])
    script = f"python3 - {json.dumps(given)}"
    answer: dict[str, str] = json.loads(feed(node, script, PROBE))
    return answer


@each_port
def test_a_port_speaks_todays_tls_only(node: str, component: str, name: str) -> None:
    entry = CATALOGUE[component].listeners[name]
    found = probe(node, str(SITE.hosts[node].addresses[entry.zone]), entry.port)
    assert found["named"] in {"TLSv1.2", "TLSv1.3"}, found
    assert found["old"].startswith("refused"), found
    # What is not TLS gets nothing, or the remark that TLS is wanted.
    assert not found["clear"] or "400 " in found["clear"] or "\x15\x03" in found["clear"][:3], found
    if entry.tls == "mutual":
        assert found["unnamed"].startswith("refused"), found


@on("controllers")
def test_the_front_ends_speak_todays_tls_only(node: str) -> None:
    for component, entry in CATALOGUE.components.items():
        for listener in entry.listeners.values():
            if listener.front and listener.front.tls and "admin" in listener.front.zones:
                found = probe(node, str(SITE.endpoints.internal.address), listener.front_port)
                assert found["named"] in {"TLSv1.2", "TLSv1.3"}, component
                assert found["old"].startswith("refused"), component
                assert not found["clear"] or "400 " in found["clear"], component


@on("controllers")
def test_a_certificate_of_a_hypervisor_opens_no_back_end(node: str) -> None:
    """Of the site's own authority, and yet not a controller's."""
    compute = next(name for name, host in SITE.hosts.items() if "computes" in host.groups)
    pem = output(compute, "cat /etc/socle/tls/chassis.pem")
    entry = CATALOGUE["keystone"].listeners["api"]
    url = f"https://{SITE.hosts[node].address}:{entry.port}{entry.health}"
    shown = "--silent --output /dev/null --write-out %{http_code} --cacert /etc/socle/tls/proxy.ca"
    script = f"pem=$(mktemp); cat >$pem; curl {shown} --cert $pem {url}; rm $pem"
    assert feed(node, script, pem) == "403"


@on("controllers")
def test_mariadb_refuses_a_login_in_clear(node: str) -> None:
    script = f"mariadb --host={SITE.hosts[node].address} --user=nova --skip-ssl --execute=exit 2>&1; true"
    assert "insecure transport" in feed(node, script, "")


@on("controllers")
def test_the_cache_is_the_nodes_own(node: str) -> None:
    port = CATALOGUE["memcached"].listeners["cache"].port
    at = output(node, f"ss --no-header --listening --numeric --tcp sport = :{port}")
    assert [line.split()[3].startswith("127.") for line in at.splitlines()] == [True]
