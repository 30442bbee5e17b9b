"""Preview and apply the platform and the tenants, several stacks at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from socle import catalogue, vault
from socle.errors import ExitCode, SocleError
from socle.images import image_files
from socle.lab.from_site import plan_from_site
from socle.site import Site
from socle.tenants import default_rules, volume_encryption
from socle.tenants.job import Action, Job
from socle.tenants.providers import administrator
from socle.tenants.session import Session
from socle.tenants.stack import Stack, StackResult
from socle.tenants.state import folder_of
from socle.tenants.workers import together
from stacks import platform as platform_stack
from stacks.tenant.plan import GROUPS, plan_of, unserved
from stacks.tenant.program import Platform as PlatformIds

Tell = Callable[[str], None]
PLATFORM = "platform"


def platform_preview(site: Site, session: Session, tell: Tell) -> StackResult:
    """What applying the platform would do."""
    result = _platform(site, session, tell).preview()
    with session.cloud() as cloud:
        result = _with(result, default_rules.differences(cloud))
        return _with(result, volume_encryption.differences(cloud))


def platform_apply(site: Site, session: Session, tell: Tell) -> StackResult:
    """Make flavors, images, provider network and pool, the volumes' encryption, Neutron's default rules."""
    result = _platform(site, session, tell).up()
    with session.cloud() as cloud:
        result = _with(result, default_rules.settle(cloud))
        return _with(result, volume_encryption.settle(cloud))


def preview(site: Site, sirens: Iterable[str] | None, session: Session, tell: Tell) -> list[StackResult]:
    """What applying these tenants (all that OpenStack serves when None) would do."""
    return _tenants(site, sirens, session, tell, "preview")


def apply(site: Site, sirens: Iterable[str] | None, session: Session, tell: Tell) -> list[StackResult]:
    """Make these tenants (all that OpenStack serves when None) what their files say.

    Raises:
        SocleError: no such tenant, or a stack failed; the others are finished first.
    """
    return _tenants(site, sirens, session, tell, "up")


def platform_ids(session: Session) -> PlatformIds:
    """What the platform stack and Keystone's bootstrap made, as the running cloud has it.

    Raises:
        SocleError: the platform was not applied yet.
    """
    with session.cloud() as cloud:
        outside = cloud.network.find_network("provider")
        if outside is None:
            raise SocleError("has no platform yet", where=session.auth_url, write="run `socle deploy` first")
        return PlatformIds(
            external_network=outside.id,
            roles={role.name: role.id for role in cloud.identity.roles() if role.name in GROUPS.values()},
            flavors={flavor.name: flavor.id for flavor in cloud.compute.flavors()},
            images={image.name: image.id for image in cloud.image.images()},
        )


def _platform(site: Site, session: Session, tell: Tell) -> Stack:
    services = catalogue.load()
    debian = plan_from_site(site, services).debian
    files = {name: image_files(image, debian, tell) for name, image in site.images.items()}
    plan = platform_stack.plan_of(site, files)
    tell("platform")

    def program() -> None:
        platform_stack.Platform(plan, administrator(session))

    with vault.plainly(place := vault.place_of(site, services)):
        key = vault.stack_key(place, PLATFORM, session.vault())
    return Stack(PLATFORM, folder_of(site), program, key, session)


def _with(result: StackResult, more: dict[str, int]) -> StackResult:
    counts = dict(result.counts)
    for operation, count in more.items():
        counts[operation] = counts.get(operation, 0) + count
    return replace(result, counts=counts)


def _tenants(
    site: Site, sirens: Iterable[str] | None, session: Session, tell: Tell, action: Action
) -> list[StackResult]:
    chosen = _chosen(site, sirens)
    if not chosen:
        return []
    platform, place = platform_ids(session), vault.place_of(site, catalogue.load())
    return together(
        [Job(action, plan_of(site, siren), platform, folder_of(site), place, session) for siren in chosen],
        tell,
    )


def _chosen(site: Site, sirens: Iterable[str] | None) -> list[str]:
    if sirens is None:
        return [siren for siren in site.tenants if unserved(site, siren) is None]
    chosen = list(dict.fromkeys(sirens))
    unknown = [f"no tenant {siren}" for siren in chosen if siren not in site.tenants]
    not_now = [f"{s} {reason}" for s in chosen if s in site.tenants and (reason := unserved(site, s))]
    if unknown or not_now:
        where = str(site.folder / "tenants")
        raise SocleError("; ".join([*unknown, *not_now]), where=where, exit_code=ExitCode.USAGE)
    return chosen
