"""What somebody wrote into OpenBao by hand, and that `socle vault configure --again` takes it back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from socle import vault
from socle.vault import custody, people, quorum
from socle.vault.api import client
from socle.vault.place import Place
from tests.unit.openbao_server import begun

PASSWORD = "correct horse battery"
USER, ENTITY = "auth/userpass/users/ann.test", "identity/entity/name/ann.test"
WIDE = json.dumps({"path": {"*": {"capabilities": ["read"]}}})


@pytest.fixture(scope="module")
def site() -> Iterator[Place]:
    """A site with one person who is enrolled."""
    with pytest.MonkeyPatch.context() as patch, begun(patch) as (_server, place):
        manned = replace(place, people={"ann.test": ("operator",)})
        vault.prepare(manned)
        people.enrol(manned, custody.shares_of(manned), "ann.test", PASSWORD)
        yield manned


def rooted(place: Place) -> Any:
    token = quorum.generate(place, custody.shares_of(place), custody.ask(place, "test", "configure"))
    return client(place, place.nodes[0], token)


def test_what_was_written_by_hand_goes(site: Place) -> None:
    speaker = rooted(site)
    good = {name: speaker.sys.read_policy(name)["rules"] for name in ("ansible", "default", "person")}
    method = speaker.sys.list_auth_methods()["data"]["userpass/"]
    for name in (*good, "hand"):
        speaker.sys.create_or_update_acl_policy(name, WIDE)
    speaker.write_data("auth/approle/role/ansible", data={"token_period": 3600, "token_bound_cidrs": []})
    speaker.write_data("auth/approle/role/hand", data={"token_policies": ["hand"]})
    speaker.write_data("pki_services/roles/host-ctl1", data={"allow_any_name": True, "max_ttl": "8760h"})
    speaker.write_data(USER, data={"token_policies": ["hand"], "token_ttl": "700h", "token_max_ttl": "700h"})
    speaker.write_data("auth/userpass/users/mallory", data={"password": PASSWORD})
    speaker.write_data(ENTITY, data={"policies": ["hand"]})
    speaker.write_data("identity/group/name/hand", data={"policies": ["hand"]})
    speaker.write_data(
        "identity/mfa/login-enforcement/people",
        data={
            "mfa_method_ids": speaker.list("identity/mfa/method/totp")["data"]["keys"],
            "auth_method_accessors": [speaker.sys.list_auth_methods()["data"]["token/"]["accessor"]],
        },
    )
    off = {"lockout_disable": True, "lockout_threshold": "100"}
    speaker.write_data("sys/auth/userpass/tune", data={"user_lockout_config": off})

    assert not vault.configure(site), "its marker knows nothing of that"
    assert vault.configure(site, again=True)

    speaker = rooted(site)
    assert {name: speaker.sys.read_policy(name)["rules"] for name in good} == good
    assert "hand" not in speaker.sys.list_acl_policies()["data"]["keys"]
    ansible = speaker.read("auth/approle/role/ansible")["data"]
    assert (ansible["token_period"], ansible["token_bound_cidrs"]) == (0, ["127.0.0.1"])
    assert "hand" not in speaker.list("auth/approle/role")["data"]["keys"]
    assert not speaker.read("pki_services/roles/host-ctl1")["data"]["allow_any_name"]
    user = speaker.read(USER)["data"]
    assert (user["token_policies"], user["token_ttl"]) == (people.policies_of(("operator",)), 3600)
    assert speaker.list("auth/userpass/users")["data"]["keys"] == ["ann.test"]
    assert not speaker.read(ENTITY)["data"]["policies"]
    assert speaker.list("identity/group/name") is None
    enforced = speaker.read("identity/mfa/login-enforcement/people")["data"]
    assert enforced["auth_method_accessors"] == [method["accessor"]]
    tuned = speaker.sys.list_auth_methods()["data"]["userpass/"]["config"]["user_lockout_config"]
    assert tuned == method["config"]["user_lockout_config"]
    speaker.auth.token.revoke_self()


def test_logins_of_machines_and_people_outlive_it(site: Place) -> None:
    speaker = rooted(site)
    role = "auth/approle/role/host-ctl1"
    entered = speaker.read(f"{role}/role-id")["data"]["role_id"]
    secret = speaker.write_data(f"{role}/secret-id", data={})["data"]["secret_id"]
    assert vault.configure(site, again=True)
    machine = client(site, site.nodes[0])
    machine.auth.approle.login(entered, secret)
    assert vault.secret(site, "deployer/identity")
    assert not vault.prepare(site)
