"""The logins under which stacks make things. Passwords are secrets of the stack: ciphertext in its state."""

from __future__ import annotations

import pulumi
from pulumi_openstack import Provider

from socle.catalogue.accounts import DOMAIN
from socle.tenants.session import Session


def administrator(session: Session) -> Provider:
    """The cloud's deployer."""
    return provider(
        session,
        "administrator",
        user_name=session.account,
        tenant_name=DOMAIN,
        user_domain_name=DOMAIN,
        project_domain_name=DOMAIN,
        password=pulumi.Output.secret(session.password),
    )


def provider(
    session: Session, name: str, opts: pulumi.ResourceOptions | None = None, **login: pulumi.Input[str]
) -> Provider:
    """Any login to the cloud's public endpoint."""
    return Provider(
        name,
        auth_url=session.auth_url,
        region=session.region,
        cacert_file=session.ca_file,
        endpoint_type="public",
        max_retries=5,
        opts=opts,
        **login,
    )
