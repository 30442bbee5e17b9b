"""How stacks, and whoever audits, reach the cloud and OpenBao."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import hvac
from keystoneauth1.exceptions import ClientException, ConnectFailure
from openstack.exceptions import SDKException

from socle import catalogue, cloud, vault
from socle.catalogue.accounts import AUDITOR, DEPLOYER, secret_path
from socle.credentials import Account
from socle.errors import ExitCode, SocleError
from socle.site import Site

SECONDS = 20


@dataclass(frozen=True)
class Session:
    """The login of a provider's account for one run; travels to workers by pipe, never by argument."""

    auth_url: str
    region: str
    ca_file: str
    account: str
    """Name of the account, in the provider's domain."""
    password: str = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    """OpenBao's address and token, for Pulumi's secrets provider; empty for the auditor."""

    def connect(self) -> Any:
        """The cloud as this account sees it; nothing is asked of it yet."""
        account = Account(self.account, self.password)
        return cloud.connection(self.auth_url, self.region, self.ca_file, account)

    @contextmanager
    def cloud(self) -> Iterator[Any]:
        """The same, with what goes wrong inside the block as one line.

        Raises:
            SocleError: the cloud does not answer (exit code 6), or refuses what is asked.
        """
        try:
            yield self.connect()
        except ConnectFailure as error:
            raise SocleError(
                "does not answer",
                where=self.auth_url,
                write="look at `socle status`",
                exit_code=ExitCode.UNREACHABLE,
            ) from error
        except (ClientException, SDKException) as error:
            raise SocleError(f"refused: {error}", where=self.auth_url) from error

    def vault(self) -> Any:
        """OpenBao as the stacks' role."""
        names = self.environment
        return hvac.Client(
            url=names["VAULT_ADDR"], token=names["VAULT_TOKEN"], verify=names["VAULT_CACERT"], timeout=SECONDS
        )


def session_of(site: Site, as_: Literal["deployer", "auditor"] = DEPLOYER) -> Session:
    """Log in to OpenBao and read what stacks need; or, as the auditor, what it takes to read the cloud.

    The auditor's session has no way in to OpenBao, and the cloud refuses whatever it would change.

    Raises:
        SocleError: OpenBao is sealed or does not answer (exit code 6), or the site was never deployed.
    """
    services = catalogue.load()
    place = vault.place_of(site, services)
    port = services["keystone"].listeners["api"].front_port
    account = vault.auditor_account(place) if as_ == AUDITOR else vault.account(place, secret_path(DEPLOYER))
    return Session(
        auth_url=f"https://{site.endpoints.public.name}:{port}/v3",
        region=site.region,
        ca_file=str(place.ca_file),
        account=account.name,
        password=account.password,
        environment={} if as_ == AUDITOR else vault.stacks_environment(place),
    )
