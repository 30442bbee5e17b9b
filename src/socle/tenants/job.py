"""One tenant's run, as a worker process does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pulumi
from pulumi_openstack import Provider, identity

from socle import vault
from socle.tenants.accounts import (
    account_passwords,
    hand_over,
    keep_credential,
    planned_passwords,
    second_factors,
)
from socle.tenants.providers import administrator, provider
from socle.tenants.session import Session
from socle.tenants.stack import Stack, StackResult
from stacks.tenant.plan import AUTOMATION, TenantPlan
from stacks.tenant.program import Platform, TenantStack

Action = Literal["preview", "up", "destroy"]


@dataclass(frozen=True)
class Job:
    """What to do for which tenant, and where; travels to a worker by pipe."""

    action: Action
    plan: TenantPlan
    platform: Platform
    folder: Path
    place: vault.Place
    session: Session


def run_job(job: Job) -> StackResult:
    """Run one tenant's stack, between its passwords and its other logins in OpenBao.

    Raises:
        SocleError: OpenBao, the cloud or Pulumi refused.
    """
    speaker, plan = job.session.vault(), job.plan
    passwords_of = account_passwords if job.action == "up" else planned_passwords
    with vault.plainly(job.place):
        key = vault.stack_key(job.place, plan.domain, speaker)
        passwords = passwords_of(speaker, plan.siren, plan.accounts)
    credentials: dict[str, dict[str, str]] = {}
    stack = Stack(plan.domain, job.folder, partial(_program, job, passwords, credentials), key, job.session)
    if job.action != "up":
        return stack.preview() if job.action == "preview" else stack.destroy()
    result = stack.up()
    with vault.plainly(job.place):
        for environment, credential in credentials.items():
            keep_credential(speaker, plan.siren, environment, credential)
        seeds = second_factors(speaker, plan.siren, plan.managers)
    with job.session.cloud() as cloud:
        hand_over(cloud.identity, plan.domain, seeds)
    return result


def _program(job: Job, passwords: Mapping[str, str], credentials: dict[str, dict[str, str]]) -> None:
    """The inline program; fills ``credentials`` by environment."""

    def project_provider(
        name: str, user: identity.User, project: identity.Project, options: pulumi.ResourceOptions
    ) -> Provider:
        return provider(
            job.session,
            name,
            options,
            user_name=user.name,
            user_domain_id=user.domain_id,
            tenant_id=project.id,
            password=pulumi.Output.secret(passwords[AUTOMATION]),
        )

    secrets = {account: pulumi.Output.secret(password) for account, password in passwords.items()}
    made = TenantStack(job.plan, job.platform, administrator(job.session), secrets, project_provider)
    for environment, credential in made.credentials.items():
        values: pulumi.Output[Any] = pulumi.Output.all(credential.id, credential.secret)
        values.apply(partial(_take, job.session, credentials, environment))


def _take(session: Session, credentials: dict[str, dict[str, str]], environment: str, values: Any) -> None:
    identifier, secret = values
    credentials[environment] = {
        "id": identifier,
        "secret": secret,
        "auth_url": session.auth_url,
        "region": session.region,
    }
