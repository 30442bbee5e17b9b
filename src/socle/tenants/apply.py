"""Preview and apply the platform and the tenants, several stacks at once."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import pulumi
from pulumi_openstack import Provider, identity

from socle import catalogue, vault
from socle.errors import ExitCode, SocleError
from socle.images import ImageFiles, image_files
from socle.lab.from_site import plan_from_site
from socle.paths import state_dir
from socle.site import Site
from socle.tenants.session import Session, account_passwords
from socle.tenants.stack import Stack, StackResult
from stacks import platform as platform_stack
from stacks import tenant as tenant_stack
from stacks.tenant.plan import AUTOMATION
from stacks.tenant.program import GROUPS
from stacks.tenant.program import Platform as PlatformIds

Tell = Callable[[str], None]
Action = Literal["preview", "up"]
PLATFORM = "platform"
WORKERS = max(2, os.cpu_count() or 2)


@dataclass(frozen=True)
class Job:
    """One tenant's run, as it is handed to a worker process."""

    action: Action
    plan: tenant_stack.TenantPlan
    platform: PlatformIds
    folder: Path
    secrets_provider: str
    session: Session
    passwords: Mapping[str, str] = field(repr=False)
    """Of the tenant's accounts, by name."""


def platform_preview(site: Site, session: Session, tell: Tell) -> StackResult:
    """What applying the platform would do."""
    return _platform(site, session, tell).preview()


def platform_apply(site: Site, session: Session, tell: Tell) -> StackResult:
    """Make flavors, images, provider network and pool."""
    return _platform(site, session, tell).up()


def preview(site: Site, sirens: Iterable[str] | None, session: Session, tell: Tell) -> list[StackResult]:
    """What applying these tenants (all of them when None) would do."""
    return _tenants(site, sirens, session, tell, "preview")


def apply(site: Site, sirens: Iterable[str] | None, session: Session, tell: Tell) -> list[StackResult]:
    """Make these tenants (all of them when None) what their files say.

    Raises:
        SocleError: no such tenant, or a stack failed; the others are finished first.
    """
    return _tenants(site, sirens, session, tell, "up")


def folder_of(site: Site) -> Path:
    """Where the states of a site's stacks are kept."""
    return state_dir(site.name) / "stacks"


def _platform(site: Site, session: Session, tell: Tell) -> Stack:
    debian = plan_from_site(site, catalogue.load()).debian
    files: dict[str, ImageFiles] = {
        name: image_files(image, debian, tell) for name, image in site.images.items()
    }
    plan = platform_stack.plan_of(site, files)
    tell("platform")

    def program() -> None:
        platform_stack.Platform(plan, _administrator(session))

    key = vault.stack_key(vault.place_of(site, catalogue.load()), PLATFORM)
    return Stack(PLATFORM, folder_of(site), program, key, session)


def _administrator(session: Session) -> Provider:
    return _provider(
        session,
        "administrator",
        user_name="admin",
        tenant_name="admin",
        user_domain_name="Default",
        project_domain_name="Default",
        password=pulumi.Output.secret(session.password),
    )


def _provider(
    session: Session, name: str, opts: pulumi.ResourceOptions | None = None, **login: pulumi.Input[str]
) -> Provider:
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


def _tenants(
    site: Site, sirens: Iterable[str] | None, session: Session, tell: Tell, action: Action
) -> list[StackResult]:
    chosen = list(site.tenants) if sirens is None else list(sirens)
    unknown = [siren for siren in chosen if siren not in site.tenants]
    if unknown:
        raise SocleError(
            f"no tenant {', '.join(unknown)}", where=str(site.folder / "tenants"), exit_code=ExitCode.USAGE
        )
    platform = _platform_ids(session)
    place = vault.place_of(site, catalogue.load())
    jobs = [
        Job(
            action,
            plan := tenant_stack.plan_of(site, siren),
            platform,
            folder_of(site),
            vault.stack_key(place, plan.domain),
            session,
            account_passwords(site, siren, plan.accounts),
        )
        for siren in chosen
    ]
    return _together(jobs, tell)


def _together(jobs: list[Job], tell: Tell) -> list[StackResult]:
    """Each stack in a worker process: Pulumi's inline programs share global state within one."""
    results, failures = [], []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(WORKERS, max(1, len(jobs))), mp_context=context) as pool:
        futures = {pool.submit(run_job, job): job for job in jobs}
        for future in as_completed(futures):
            name = futures[future].plan.description
            error = future.exception()
            if error is None:
                results.append(future.result())
            else:
                failures.append(f"{name}: {error}")
            tell(f"{len(results)} of {len(jobs)}: {name}")
    if failures:
        raise SocleError(
            " | ".join(failures), where="tenants", write="repair the cause and run the same command again"
        )
    return results


def run_job(job: Job) -> StackResult:
    """Run one tenant's stack; called in a worker process."""
    stack = Stack(job.plan.domain, job.folder, partial(_program, job), job.secrets_provider, job.session)
    return stack.preview() if job.action == "preview" else stack.up()


def _program(job: Job) -> None:
    def project_provider(
        name: str, user: identity.User, project: identity.Project, options: pulumi.ResourceOptions
    ) -> Provider:
        return _provider(
            job.session,
            name,
            options,
            user_name=user.name,
            user_domain_id=user.domain_id,
            tenant_id=project.id,
            password=pulumi.Output.secret(job.passwords[AUTOMATION]),
        )

    passwords = {account: pulumi.Output.secret(password) for account, password in job.passwords.items()}
    tenant_stack.TenantStack(job.plan, job.platform, _administrator(job.session), passwords, project_provider)


def _platform_ids(session: Session) -> PlatformIds:
    cloud = session.connect()
    outside = cloud.network.find_network("provider")
    if outside is None:
        raise SocleError(
            "the platform is not there yet", where=session.auth_url, write="run `socle deploy` first"
        )
    return PlatformIds(
        external_network=outside.id,
        roles={role.name: role.id for role in cloud.identity.roles() if role.name in GROUPS.values()},
        flavors={flavor.name: flavor.id for flavor in cloud.compute.flavors()},
        images={image.name: image.id for image in cloud.image.images()},
    )
