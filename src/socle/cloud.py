"""The running cloud, as its administrator sees it through the public end points."""

from __future__ import annotations

from typing import Any

from socle import vault
from socle.catalogue import Catalogue
from socle.site import Site
from socle.site.ansible import urls

SECONDS = 30


def connect(site: Site, services: Catalogue) -> Any:
    """A connection of openstacksdk; the password comes from OpenBao and stays in this process.

    Raises:
        SocleError: OpenBao is sealed or does not answer (exit code 6), or the site was never deployed.
    """
    import openstack  # noqa: PLC0415 - takes a second to load

    place = vault.place_of(site, services)
    return openstack.connect(
        auth_url=f"{urls(site, services)['keystone']['public']}/v3",
        username="admin",
        password=vault.secret(place, "keystone/admin"),
        project_name="admin",
        user_domain_name="Default",
        project_domain_name="Default",
        region_name=site.region,
        interface="public",
        cacert=str(place.ca_file),
        api_timeout=SECONDS,
    )
