"""How stacks reach the cloud and OpenBao."""

from __future__ import annotations

import secrets as random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import openstack

from socle import catalogue, vault
from socle.site import Site
from socle.vault.policies import KV


@dataclass(frozen=True)
class Session:
    """The administrator's login for the time of one run; travels to workers by pipe, never by argument."""

    auth_url: str
    region: str
    ca_file: str
    password: str = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    """OpenBao's address and token, for Pulumi's secrets provider."""

    def connect(self) -> Any:
        """The cloud as its administrator."""
        return openstack.connect(
            auth_url=self.auth_url,
            username="admin",
            password=self.password,
            project_name="admin",
            user_domain_name="Default",
            project_domain_name="Default",
            region_name=self.region,
            interface="public",
            cacert=self.ca_file,
        )


def session_of(site: Site) -> Session:
    """Log in to OpenBao and read what stacks need.

    Raises:
        SocleError: OpenBao is sealed or does not answer (exit code 6), or the site was never deployed.
    """
    services = catalogue.load()
    place = vault.place_of(site, services)
    port = services["keystone"].listeners["api"].front_port
    return Session(
        auth_url=f"https://{site.endpoints.public.name}:{port}/v3",
        region=site.region,
        ca_file=str(place.ca_file),
        password=vault.secret(place, "keystone/admin"),
        environment=vault.stacks_environment(place),
    )


def account_passwords(site: Site, siren: str, accounts: Iterable[str]) -> dict[str, str]:
    """Passwords of a tenant's accounts, at ``kv/tenants/<siren>``; missing ones are made (check-and-set).

    Raises:
        SocleError: OpenBao refuses, or another run wrote at the same moment.
    """
    place = vault.place_of(site, catalogue.load())
    path = f"{KV}/data/tenants/{siren}"
    with vault.plainly(place):
        speaker = vault.stacks_client(place)
        found = speaker.read(path)
        known: dict[str, str] = dict(found["data"]["data"] or {}) if found else {}
        version = found["data"]["metadata"]["version"] if found else 0
        missing = [account for account in accounts if account not in known]
        if missing:
            known.update({account: random.token_urlsafe(24) for account in missing})
            speaker.write_data(path, data={"data": known, "options": {"cas": version}})
    return {account: known[account] for account in accounts}
