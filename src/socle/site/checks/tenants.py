"""Each tenant's file: against itself, and against what the site offers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from socle.site.classes import Classes, Flavor
from socle.site.document import Fault
from socle.site.fields import folded
from socle.site.messages import suggestion
from socle.site.model import monthly_estimate, quota_of
from socle.site.parts import Part
from socle.site.people import People
from socle.site.segments import Segments
from socle.site.settings import Image, Settings
from socle.site.tenant import Tenant

type Tenants = dict[str, Part[Tenant]]


def files_are_named_by_siren(tenants: Tenants) -> Iterator[Fault]:
    """The name of the file is the key of the tenant."""
    for part in tenants.values():
        if part.document.path.name != f"{part.value.siren}.yml":
            yield part.fault(
                "organisation",
                "siren",
                what=f"the file is {part.document.path.name} and its SIREN {part.value.siren}",
                expected=f"the file name {part.value.siren}.yml",
                write="rename the file, or correct the SIREN",
            )


def sirens_are_unique(tenants: Tenants) -> Iterator[Fault]:
    """One file for each collectivity."""
    owners: dict[str, str] = {}
    for name, part in tenants.items():
        first = owners.setdefault(part.value.siren, name)
        if first != name:
            yield part.fault(
                "organisation",
                "siren",
                what=f"the SIREN {part.value.siren} is already that of {first}",
                expected="one file for each SIREN",
                write="delete one of the two files",
            )


def lives_end_after_they_start(tenants: Tenants) -> Iterator[Fault]:
    """An end date is mandatory, and after the start."""
    for part in tenants.values():
        life = part.value.lifecycle
        if life.end <= life.start:
            yield part.fault(
                "lifecycle",
                "end",
                what=f"`end` {life.end} is not after `start` {life.start}",
                expected=f"a day after {life.start}",
                write="write a later `end`",
            )


def names_are_unique(tenants: Tenants) -> Iterator[Fault]:
    """Environments, segments, domain managers, and servers within an environment."""
    for part in tenants.values():
        tenant = part.value
        lists = (
            (("lifecycle", "environments"), [str(name) for name in tenant.lifecycle.environments]),
            (("network", "segments"), [segment.name for segment in tenant.network.segments]),
            (("access", "domain_managers"), list(tenant.access.domain_managers)),
            (("servers",), [f"{server.environment}/{server.name}" for server in tenant.servers]),
        )
        for loc, names in lists:
            if len(set(map(folded, names))) != len(names):
                yield from _repeated(part, loc, names)


def _repeated(part: Part[Tenant], loc: tuple[str, ...], names: list[str]) -> Iterator[Fault]:
    same = [folded(name) for name in names]
    for index, name in enumerate(names):
        if same[index] in same[:index]:
            yield part.fault(
                *loc,
                index,
                what=f"`{loc[-1]}` holds `{name}` twice",
                expected="each once" if name in names[:index] else "each once, large and small letters alike",
                write="delete or rename one",
            )


def health_is_said_once(tenants: Tenants) -> Iterator[Fault]:
    """Health data is classified as such (the other way round is checked by the model)."""
    for part in tenants.values():
        data = part.value.data
        if data.health_data and data.classification != "health":
            yield part.fault(
                "data",
                "classification",
                what=f"health data classified as {data.classification}",
                expected="`health` with health_data: true",
                write="write `classification: health`",
            )


def sizes_exist(tenants: Tenants, classes: Part[Classes]) -> Iterator[Fault]:
    """The site has the class that the tenant asks for, and its overrides stay below the ceiling."""
    for part in tenants.values():
        entry = classes.value.classes.get(part.value.size)
        if entry is None:
            yield part.fault(
                "size",
                what=f"the site has no class {part.value.size}",
                expected=f"one of {', '.join(classes.value.classes)}",
                write="choose one, or describe it in classes.yml",
            )
            continue
        for key, value in part.value.overrides.model_dump(exclude_none=True).items():
            most = getattr(entry.ceiling or entry.quota, key)
            if value > most:
                yield part.fault(
                    "overrides",
                    key,
                    what=f"`{key}` {value} is above the ceiling of class {part.value.size}",
                    expected=f"at most {most}",
                    write=f"write `{key}: {most}`, or choose a larger size",
                )


def prices_are_below_the_ceiling(tenants: Tenants, classes: Part[Classes]) -> Iterator[Fault]:
    """The tenant agreed to a ceiling: the whole quota costs less."""
    for part in tenants.values():
        if part.value.size not in classes.value.classes:
            continue
        estimate = monthly_estimate(part.value, classes.value)
        ceiling = part.value.cost.monthly_ceiling_eur
        if estimate > ceiling:
            yield part.fault(
                "cost",
                "monthly_ceiling_eur",
                what=f"the quota costs {estimate:.2f} € a month, above the ceiling of {ceiling:g} €",
                expected=f"at least {estimate:.2f}",
                write="raise the ceiling, or choose a smaller size",
            )


def links_exist(tenants: Tenants, segments: Part[Segments]) -> Iterator[Fault]:
    """The link to the tenant's own site is one of segments.yml, of the same kind."""
    links = segments.value.links
    for part in tenants.values():
        wanted = part.value.network.site_link
        if wanted is None:
            continue
        link = links.get(wanted.endpoint)
        if link is None:
            yield part.fault(
                "network",
                "site_link",
                "endpoint",
                what=f"`{wanted.endpoint}` is no link of the site",
                expected="a link of segments.yml",
                write=suggestion(wanted.endpoint, list(links)) or "describe it under `links` there",
            )
        elif link.kind != wanted.kind:
            yield part.fault(
                "network",
                "site_link",
                "kind",
                what=f"the link `{wanted.endpoint}` is {link.kind}, not {wanted.kind}",
                expected=link.kind,
                write=f"write `kind: {link.kind}`",
            )


def federations_exist(tenants: Tenants, settings: Part[Settings]) -> Iterator[Fault]:
    """The tenant logs in by a federation of the site."""
    known = settings.value.federations
    for part in tenants.values():
        name = part.value.access.federation
        if name is not None and name not in known:
            yield part.fault(
                "access",
                "federation",
                what=f"`{name}` is no federation of the site",
                expected=f"one of {', '.join(known) or 'none'}",
                write=suggestion(name, list(known)) or "choose one, or add it to `federations` of site.yml",
            )


def managers_are_not_the_gip(tenants: Tenants, people: Part[People]) -> Iterator[Fault]:
    """Who runs the cloud does not manage a tenant's domain."""
    ours = {folded(person.email): login for login, person in people.value.people.items()}
    for part in tenants.values():
        for index, email in enumerate(part.value.access.domain_managers):
            login = ours.get(folded(email))
            if login:
                yield part.fault(
                    "access",
                    "domain_managers",
                    index,
                    what=f"the domain manager {email} is `{login}` of the GIP",
                    expected="a person of the collectivity",
                    write="name somebody else",
                )


def servers_name_what_exists(
    tenants: Tenants, settings: Part[Settings], classes: Part[Classes]
) -> Iterator[Fault]:
    """Environment, segment, flavor and image of a server exist, and fit together."""
    images = {image.name: image for image in settings.value.images}
    for part in tenants.values():
        tenant = part.value
        flavors = [n for n, f in classes.value.flavors.items() if tenant.size in f.classes]
        offers: dict[str, list[str]] = {
            "environment": list(tenant.lifecycle.environments),
            "segment": [segment.name for segment in tenant.network.segments],
            "flavor": flavors,
            "image": list(images),
        }
        for index, server in enumerate(tenant.servers):
            for key, known in offers.items():
                yield from _unknown_choice(part, ("servers", index, key), getattr(server, key), known)
            flavor, image = classes.value.flavors.get(server.flavor), images.get(server.image)
            if flavor and image:
                yield from _too_small(part, index, flavor, image)


def _too_small(part: Part[Tenant], index: int, flavor: Flavor, image: Image) -> Iterator[Fault]:
    sizes = (
        (flavor.ram_mib, image.min_ram_mib, "MiB of memory"),
        (flavor.disk_gib, image.min_disk_gib, "GiB of disk"),
    )
    for has, needs, unit in sizes:
        if has < needs:
            yield part.fault(
                "servers",
                index,
                "flavor",
                what=f"`{part.value.servers[index].flavor}` has {has} {unit}",
                expected=f"at least {needs} {unit} for the image `{image.name}`",
                write="choose a larger flavor",
            )


def _unknown_choice(
    part: Part[Tenant], loc: tuple[str | int, ...], value: str, known: list[str]
) -> Iterator[Fault]:
    if value not in known:
        yield part.fault(
            *loc,
            what=f"`{value}` is no {loc[-1]} that this tenant can have",
            expected=f"one of {', '.join(known) or 'none'}",
            write=suggestion(value, known) or "choose one of them",
        )


def servers_fit_in_the_quota(tenants: Tenants, classes: Part[Classes]) -> Iterator[Fault]:
    """The servers of each environment together stay inside its quota."""
    for part in tenants.values():
        if part.value.servers and part.value.size in classes.value.classes:
            quota = quota_of(part.value, classes.value)
            for environment in part.value.lifecycle.environments:
                for key, used in _used(part.value, classes.value, environment).items():
                    if used > getattr(quota, key):
                        yield part.fault(
                            "servers",
                            what=f"`{environment}` uses {used:g} `{key}` of {getattr(quota, key)}",
                            expected=f"at most {getattr(quota, key)}",
                            write="remove a server, or choose a larger size",
                        )


def _used(tenant: Tenant, classes: Classes, environment: str) -> Counter[str]:
    used: Counter[str] = Counter()
    for server in tenant.servers:
        flavor = classes.flavors.get(server.flavor)
        if server.environment != environment or flavor is None:
            continue
        used["servers"] += 1
        used["vcpu"] += flavor.vcpus
        used["ram_gib"] += flavor.ram_mib / 1024  # type: ignore[assignment]
        used["public_ips"] += server.public
        used["volumes"] += 1 + len(server.volumes_gib)
        used["volume_gib"] += flavor.disk_gib + sum(server.volumes_gib)
    return used


CHECKS = (
    files_are_named_by_siren,
    sirens_are_unique,
    lives_end_after_they_start,
    names_are_unique,
    health_is_said_once,
    sizes_exist,
    prices_are_below_the_ceiling,
    links_exist,
    federations_exist,
    managers_are_not_the_gip,
    servers_name_what_exists,
    servers_fit_in_the_quota,
)
