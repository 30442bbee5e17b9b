"""Probes of Keystone: a canary's account locks after failures, its revoked token opens nothing."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from typing import Any, Final

import requests

from socle.audit.collect import declared
from socle.audit.collect.collector import FactKind, of_site
from socle.audit.model import Fact
from socle.audit.probe.canaries import MEMBER, Tenant, password
from socle.audit.probe.model import Ground, Probe, answer
from socle.errors import SocleError
from socle.site import Site

FILE: Final = "/etc/keystone/keystone.conf"
OPTION: Final = "security_compliance.lockout_failure_attempts"
SECONDS: Final = 30


def failures(site: Site) -> int:
    """After how many failures the site's configuration locks an account.

    Raises:
        SocleError: it says no number.
    """
    found = [
        components["keystone"][FILE]["options"].get(OPTION)
        for components in declared.of_hosts(site).values()
        if "keystone" in components
    ]
    if not found or not str(found[0]).isdigit():
        raise SocleError(f"{OPTION} n’est pas un nombre", where=FILE)
    return int(found[0])


def log_in(tenant: Tenant, user: str, secret: str) -> requests.Response:
    """One login with a password, as anybody from outside tries it."""
    who = {"name": user, "domain": {"id": tenant.domain}, "password": secret}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": who}}}}
    return _asked(tenant, "POST", json=body)


def _asked(tenant: Tenant, method: str, **more: Any) -> requests.Response:
    url = f"{tenant.session.auth_url}/auth/tokens"
    return requests.request(method, url, verify=tenant.session.ca_file, timeout=SECONDS, **more)


def accepted(said: requests.Response) -> bool:
    """Whether Keystone let it in.

    Raises:
        SocleError: it said neither yes nor no.
    """
    if said.status_code in {http.client.OK, http.client.CREATED}:
        return True
    if said.status_code in {http.client.UNAUTHORIZED, http.client.NOT_FOUND}:
        return False
    raise SocleError(f"réponse {said.status_code}", where="Keystone")


def _lockout(ground: Ground) -> Iterator[Fact]:
    limit = failures(ground.site)
    tenant = ground.canaries.pair()[0]
    user, secret = "locked", password()
    with ground.canaries.session.cloud() as cloud:
        cloud.identity.create_user(name=user, domain_id=tenant.domain, password=secret)
    before = accepted(log_in(tenant, user, secret))
    wrong = [accepted(log_in(tenant, user, password())) for _n in range(limit)]
    after = accepted(log_in(tenant, user, secret))
    neighbour = accepted(log_in(tenant, MEMBER, tenant.secret))
    value = {
        "failures": wrong.count(False),
        "before": answer(before),
        "after": answer(after),
        "neighbour": answer(neighbour),
    }
    yield LOCKOUT.told(ground.site.name, value)


def _token(ground: Ground) -> Iterator[Fact]:
    tenant = ground.canaries.pair()[1]
    said = log_in(tenant, MEMBER, tenant.secret)
    if not accepted(said):
        raise SocleError("le canari ne se connecte pas", where="Keystone")
    token = {"X-Auth-Token": said.headers["X-Subject-Token"]}
    own = {**token, "X-Subject-Token": token["X-Auth-Token"]}
    before = accepted(_asked(tenant, "GET", headers=own))
    revoked = _asked(tenant, "DELETE", headers=own).status_code
    after = accepted(_asked(tenant, "GET", headers=own))
    value = {
        "before": answer(before),
        "revoked": revoked == http.client.NO_CONTENT,
        "after": answer(after),
    }
    yield TOKEN.told(ground.site.name, value)


LOCKOUT: Final = Probe(
    name="keystone-lockout",
    fact=FactKind("probe.keystone_lockout", of_site, "Un compte canari de Keystone après N échecs"),
    tried="le bon mot de passe d’un compte canari, N mauvais, puis le bon ; N est celui du site",
    effects="deux domaines canaris, supprimés ensuite ; N échecs de connexion dans les journaux",
    run=_lockout,
)
TOKEN: Final = Probe(
    name="keystone-token",
    fact=FactKind("probe.keystone_token", of_site, "Un jeton de Keystone révoqué, présenté de nouveau"),
    tried="un jeton d’un compte canari, avant et après sa révocation",
    effects="deux domaines canaris, supprimés ensuite ; une révocation dans les journaux",
    run=_token,
)
PROBES: Final = (LOCKOUT, TOKEN)
