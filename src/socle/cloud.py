"""The running cloud, as one of the provider's own accounts sees it through the public end points."""

from __future__ import annotations

from typing import Any

from socle import vault
from socle.catalogue import Catalogue
from socle.catalogue.accounts import DEPLOYER, DOMAIN, secret_path
from socle.credentials import Account
from socle.errors import SocleError
from socle.site import Site
from socle.site.ansible import urls

SECONDS = 60
POOLS_SECONDS = 120


def connection(auth_url: str, region: str, ca_file: str, account: Account) -> Any:
    """A connection of openstacksdk as an account of the provider; nothing is asked of the cloud yet."""
    import openstack  # noqa: PLC0415 - takes a second to load

    return openstack.connect(
        auth_url=auth_url,
        username=account.name,
        password=account.password,
        project_name=DOMAIN,
        user_domain_name=DOMAIN,
        project_domain_name=DOMAIN,
        region_name=region,
        interface="public",
        cacert=ca_file,
        api_timeout=SECONDS,
    )


def connect(site: Site, services: Catalogue) -> Any:
    """The same for a site's deployer; the password comes from OpenBao and stays in this process.

    Raises:
        SocleError: OpenBao is sealed or does not answer (exit code 6), or the site was never deployed.
    """
    place = vault.place_of(site, services)
    auth_url = f"{urls(site, services)['keystone']['public']}/v3"
    deployer = vault.account(place, secret_path(DEPLOYER))
    return connection(auth_url, site.region, str(place.ca_file), deployer)


def await_pools(cloud: Any) -> None:
    """Wait until Cinder's scheduler knows a place for volumes, which ``cinder-volume`` reports.

    Raises:
        SocleError: it knows none after two minutes.
    """
    import openstack  # noqa: PLC0415 - as above

    try:
        for _attempt in openstack.utils.iterate_timeout(POOLS_SECONDS, "no pool", wait=2):
            if list(cloud.block_storage.backend_pools()):
                return
    except openstack.exceptions.ResourceTimeout as error:
        raise SocleError(
            f"Cinder's scheduler knows no place for volumes after {POOLS_SECONDS} s",
            where="cinder",
            write="see `journalctl -u cinder-volume` on a controller, then run `socle deploy` again",
        ) from error
