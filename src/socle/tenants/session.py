"""How stacks reach the cloud and OpenBao."""

from __future__ import annotations

import secrets as random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import openstack

from socle import catalogue, vault
from socle.errors import SocleError
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


def automation_password(site: Site, siren: str) -> str:
    """The password of a tenant's automation account, generated in OpenBao at first need (check-and-set)."""
    place = vault.place_of(site, catalogue.load())
    speaker = vault.stacks_client(place)
    path = f"{KV}/data/tenants/{siren}"
    found = speaker.read(path)
    if found and found["data"]["data"] and "automation" in found["data"]["data"]:
        return str(found["data"]["data"]["automation"])
    made = random.token_urlsafe(32)
    try:
        speaker.write_data(path, data={"data": {"automation": made}, "options": {"cas": 0}})
    except Exception as error:
        raise SocleError(f"OpenBao refused a secret: {error}", where=path) from error
    return made
