"""The logins under which stacks make things. Passwords are secrets of the stack: ciphertext in its state."""

from __future__ import annotations

import pulumi
from pulumi_openstack import Provider

from socle.tenants.session import Session


def administrator(session: Session) -> Provider:
    """The cloud's administrator."""
    return provider(
        session,
        "administrator",
        user_name="admin",
        tenant_name="admin",
        user_domain_name="Default",
        project_domain_name="Default",
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
