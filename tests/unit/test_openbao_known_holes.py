"""Known vulnerabilities of OpenBao that policies close: each shown open without them, on a real server."""

from __future__ import annotations

import base64
import http.client
import json
import re
import secrets
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from socle import vault
from socle.errors import SocleError
from socle.paths import project_root
from socle.site.fields import Slug
from socle.supply import release
from socle.vault import custody, duties, login, policies, quorum
from socle.vault.configuration import MOUNTS
from socle.vault.place import Place
from socle.vault.policies import Rules, text
from socle.vault.ssh import MOUNTS as SSH_MOUNTS
from tests.unit.openbao_server import HOST, Server, begun

PEOPLE = {"ann": ("crypto-officer",), "bob": ("auditor",), "cid": ("operator", "network-operator")}
OUT = "kv/{}/tenants/..%2fservices%2fkeystone"


@pytest.fixture(scope="module")
def prepared() -> Iterator[Place]:
    """One server for the tests that change nothing that others look at."""
    with pytest.MonkeyPatch.context() as patch, begun(patch) as (_server, made):
        place = replace(made, people=PEOPLE, hosts=(replace(HOST, seals_logs=True),))
        vault.prepare(place)
        yield place


def sent(
    place: Place, method: str, path: str, body: Any = None, token: str = "", **headers: str
) -> tuple[int, str]:
    """Status and body of a request whose path is sent as it is written."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    node = place.nodes[0]
    connection = http.client.HTTPSConnection(node.address, node.port, context=context, timeout=30)
    told = {"X-Vault-Request": "true", **({"X-Vault-Token": token} if token else {}), **headers}
    connection.request(method, f"/v1/{path}", json.dumps(body) if body is not None else None, told)
    answer = connection.getresponse()
    try:
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def inline(path: str, operation: str = "alias-lookahead", **parameters: str) -> dict[str, str]:
    """Headers of a login inside another request, with an operation that proves nothing."""
    headers = {"X-Vault-Inline-Auth-Path": path, "X-Vault-Inline-Auth-Operation": operation}
    for number, (key, value) in enumerate(parameters.items()):
        told = (
            base64.urlsafe_b64encode(json.dumps({"key": key, "value": value}).encode()).decode().rstrip("=")
        )
        headers[f"X-Vault-Inline-Auth-Parameter-{number}"] = told
    return headers


REQUESTS = [("PUT", "cubbyhole/mine", {"a": "b"}), ("PUT", "sys/tools/hash", {"input": "YQ=="})]


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS)
def test_a_login_that_proves_nothing_opens_nothing(
    prepared: Place, method: str, path: str, body: dict[str, str]
) -> None:
    """GHSA-rh46-vc3j-w2w3: anybody gets a token of the policy ``default``, which allows nothing here."""
    headers = inline("auth/approle/login", role_id="nobody")
    assert sent(prepared, method, path, body, **headers)[0] == 403
    assert sent(prepared, "GET", "kv/data/services/keystone", **headers)[0] == 403


def test_a_login_that_proves_nothing_opens_what_default_allows(place: Place) -> None:
    vault.prepare(place)
    with quorum.root(place, custody.shares_of(place), "test") as speaker:
        shipped: Rules = {"cubbyhole/*": {"capabilities": ["create", "update"]}}
        speaker.sys.create_or_update_acl_policy("default", text(shipped), pretty_print=False)
    headers = inline("auth/approle/login", role_id="nobody")
    assert sent(place, "PUT", "cubbyhole/mine", {"a": "b"}, **headers)[0] == 204


@pytest.mark.parametrize("name", ["ann", "nobody"])
def test_a_person_comes_in_by_no_login_without_the_second_factor(prepared: Place, name: str) -> None:
    status, answer = sent(prepared, "GET", "auth/token/lookup-self", **inline(f"auth/userpass/login/{name}"))
    assert status >= 400
    assert "login MFA" in answer


def test_what_a_login_inside_a_request_says_is_not_in_the_audit(place: Place, server: Server) -> None:
    """CVE-2026-46358: such headers stand in the audit in clear, where headers are audited; none are."""
    vault.prepare(place)
    word = secrets.token_hex(16)
    headers = inline("auth/approle/login", "update", role_id=word, secret_id=word)
    assert sent(place, "GET", "auth/token/lookup-self", **headers)[0] >= 400
    audit = server.folder.joinpath("file.log").read_text()
    assert "auth/approle/login" in audit
    assert not [value for value in (word, *headers.values()) if len(value) > 20 and value in audit]


@pytest.mark.parametrize(
    ("method", "form", "body"), [("PUT", "data", {"data": {"admin": "mine"}}), ("DELETE", "metadata", None)]
)
def test_the_stacks_do_not_leave_the_tenants_folder(
    prepared: Place, method: str, form: str, body: Any
) -> None:
    """CVE-2026-3605: ``..`` in a path is followed after the policy was asked."""
    former = vault.secret(prepared, "deployer/identity")
    token = login.token_of(prepared, "stacks")
    assert sent(prepared, method, OUT.format(form), body, token)[0] == 403
    assert sent(prepared, method, OUT.format(form).replace("/..", "/a%2f..%2f.."), body, token)[0] == 403
    assert vault.secret(prepared, "deployer/identity") == former


def test_the_stacks_keep_tenants_secrets(prepared: Place) -> None:
    token = login.token_of(prepared, "stacks")
    for path in ("210000014", "210000014/prod"):
        assert sent(prepared, "PUT", f"kv/data/tenants/{path}", {"data": {"a": "b"}}, token)[0] == 200
        assert sent(prepared, "GET", f"kv/data/tenants/{path}", None, token)[0] == 200


def test_a_wildcard_at_the_end_leaves_the_folder(place: Place) -> None:
    vault.prepare(place)
    with quorum.root(place, custody.shares_of(place), "test") as speaker:
        wide: Rules = {"kv/metadata/tenants/*": {"capabilities": ["delete"]}}
        speaker.sys.create_or_update_acl_policy("stacks", text(wide), pretty_print=False)
    token = login.token_of(place, "stacks")
    assert sent(place, "DELETE", OUT.format("metadata"), None, token)[0] == 204
    with quorum.root(place, custody.shares_of(place), "test") as speaker:
        assert speaker.read("kv/data/services/keystone") is None


@pytest.mark.parametrize("name", ["stack-one", "logs-seal", "release"])
def test_nobody_makes_a_key_that_stops_openbao(prepared: Place, name: str) -> None:
    """CVE-2026-55776: an RSA key with ``derived`` stops the server."""
    with quorum.root(prepared, custody.shares_of(prepared), "test") as speaker:
        held = ["stacks", "release", "host-ctl1"]
        token = speaker.auth.token.create(policies=held, no_default_policy=True)["auth"]["client_token"]
        kind = "aes256-gcm96" if name == "stack-one" else "ecdsa-p384"
        asked = {"type": kind, **({} if name == "stack-one" else {"exportable": False})}
        assert sent(prepared, "POST", f"transit/keys/{name}", asked, token)[0] == 200
        for wrong in (
            {"type": "rsa-2048", "derived": True},
            {"type": "rsa-2048"},
            {**asked, "derived": True},
        ):
            assert sent(prepared, "POST", f"transit/keys/{name}-2", wrong, token)[0] == 403
            assert sent(prepared, "POST", f"transit/keys/{name}", wrong, token)[0] == 403


def test_a_key_that_is_derived_stops_openbao(place: Place, server: Server) -> None:
    vault.prepare(place)
    asked = {"type": "rsa-2048", "derived": True}
    with ExitStack() as ended:
        speaker = ended.enter_context(quorum.root(place, custody.shares_of(place), "test"))
        with pytest.raises(http.client.RemoteDisconnected):
            sent(place, "POST", "transit/keys/other", asked, speaker.token)
        server.process.wait(timeout=30)
        with pytest.raises(SocleError, match="does not answer"):
            ended.close()


def test_openbao_has_the_engines_that_are_named_and_no_others(prepared: Place) -> None:
    """What is not mounted is not used: OIDC, LDAP, Kerberos, certificates, databases, namespaces, plugins."""
    with quorum.root(prepared, custody.shares_of(prepared), "test") as speaker:
        own = {"cubbyhole/", "identity/", "sys/"}
        mounted = speaker.sys.list_mounted_secrets_engines()["data"]
        assert set(mounted) == own | {f"{path}/" for path in {**MOUNTS, **SSH_MOUNTS}}
        assert {mount["type"] for mount in mounted.values()} == {
            *("cubbyhole", "identity", "system"),
            *("kv", "transit", "pki", "ssh"),
        }
        assert set(speaker.sys.list_auth_methods()["data"]) == {"approle/", "token/", "userpass/"}
        assert speaker.list("sys/namespaces") is None
        assert speaker.list("identity/oidc/client") is None
        plugins = speaker.read("sys/plugins/catalog")["data"]["detailed"]
        assert plugins
        assert all(plugin["builtin"] for plugin in plugins)
        for issuer in ("pki_root", "pki_services"):
            assert speaker.read(f"{issuer}/config/acme")["data"]["enabled"] is False


def test_nobody_writes_who_is_who(prepared: Place) -> None:
    """CVE-2025-64761: who writes groups gives themselves any policy; GHSA-59w7-v8rr-pr4p: any name."""
    held = {**policies.policies(prepared), **duties.duties(prepared), "release": release.RULES}
    writing = {"create", "update", "patch", "delete", "sudo"}
    for name, rules in held.items():
        for path, rule in rules.items():
            who = path.startswith(("identity/", "sys/policies", "sys/policy", "+", "*"))
            assert not (who and writing & set(rule["capabilities"])), (name, path)


def test_only_default_denies(prepared: Place) -> None:
    """GHSA-xp3c-3jw3-4vcr: a denial does not hold for lists."""
    held = {**policies.policies(prepared), **duties.duties(prepared)}
    denying = {
        name for name, rules in held.items() for rule in rules.values() if "deny" in rule["capabilities"]
    }
    assert denying == {"default"}


def test_nodes_run_openbao_as_a_server_alone() -> None:
    """GHSA-444v-8vxr-p36h is of the agent, GHSA-34fc-gh42-pj53 of the recovery mode."""
    units = [path for path in project_root().glob("roles/*/templates/**/*.service*") if path.is_file()]
    text = "\n".join(path.read_text("utf-8") for path in units)
    started = re.findall(r"^ExecStart=\{\{ openbao_program \}\} (.*)$", text, re.MULTILINE)
    assert started == ["server -config=/etc/openbao/openbao.hcl"]
    assert not re.search(r"^ExecStart=\S*bao (?:agent|proxy)", text, re.MULTILINE)


@pytest.mark.parametrize("name", ["a*", "+", "a/b", "a,b", "a b", ".."])
def test_no_login_is_more_than_a_name_in_a_template(name: str) -> None:
    """GHSA-59w7-v8rr-pr4p: policies and SSH roles hold names of people, which must be nothing but names."""
    with pytest.raises(ValidationError):
        TypeAdapter(Slug).validate_python(name)
