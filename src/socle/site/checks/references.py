"""What one file names and another describes."""

from __future__ import annotations

from collections.abc import Iterator

from socle.site.classes import Classes
from socle.site.document import Fault
from socle.site.hosts import HostsFile
from socle.site.messages import suggestion
from socle.site.parts import Part
from socle.site.settings import Settings
from socle.site.suppliers import Equipment, Suppliers


def flavors_name_classes(classes: Part[Classes]) -> Iterator[Fault]:
    """A flavor is for classes that the site has."""
    for name, flavor in classes.value.flavors.items():
        for index, size in enumerate(flavor.classes):
            if size not in classes.value.classes:
                yield classes.fault(
                    "flavors",
                    name,
                    "classes",
                    index,
                    what=f"the flavor `{name}` is for the class {size}, which the site does not have",
                    expected=f"one of {', '.join(classes.value.classes)}",
                    write=f"describe {size} in `classes`, or delete it here",
                )


def ceilings_are_above_quotas(classes: Part[Classes]) -> Iterator[Fault]:
    """A ceiling below the quota would forbid what the class gives."""
    for size, entry in classes.value.classes.items():
        for key, ceiling in entry.ceiling.model_dump().items() if entry.ceiling else ():
            quota = getattr(entry.quota, key)
            if ceiling < quota:
                yield classes.fault(
                    "classes",
                    size,
                    "ceiling",
                    key,
                    what=f"the ceiling {ceiling} of `{key}` in class {size} is below the quota {quota}",
                    expected=f"at least {quota}",
                    write=f"write `{key}: {quota}`",
                )


def images_have_one_name(settings: Part[Settings]) -> Iterator[Fault]:
    """Servers name images: a name means one image."""
    seen: set[str] = set()
    for index, image in enumerate(settings.value.images):
        if image.name in seen:
            yield settings.fault(
                "images",
                index,
                "name",
                what=f"two images are named `{image.name}`",
                expected="a name for each",
                write="rename one",
            )
        seen.add(image.name)


def shares_add_up(suppliers: Part[Suppliers]) -> Iterator[Fault]:
    """The largest share of one holder is part of the total."""
    for name, entry in suppliers.value.suppliers.items():
        if entry.largest_share_outside_eu_percent > entry.total_share_outside_eu_percent:
            yield suppliers.fault(
                "suppliers",
                name,
                "total_share_outside_eu_percent",
                what=f"`{name}`: the total share outside the Union is below the largest one",
                expected=f"at least {entry.largest_share_outside_eu_percent:g}",
                write="correct one of the two",
            )


def equipment_has_suppliers(equipment: Part[Equipment], suppliers: Part[Suppliers]) -> Iterator[Fault]:
    """Every equipment comes from a supplier of the site."""
    known = list(suppliers.value.suppliers)
    for name, item in equipment.value.equipment.items():
        if item.supplier not in suppliers.value.suppliers:
            yield equipment.fault(
                "equipment",
                name,
                "supplier",
                what=f"`{name}` comes from `{item.supplier}`, which is no supplier",
                expected="a supplier of suppliers.yml",
                write=suggestion(item.supplier, known) or "describe the supplier there",
            )


def equipment_names_hosts(equipment: Part[Equipment], hosts: Part[HostsFile]) -> Iterator[Fault]:
    """A host runs on one equipment, and is a host of the site."""
    owners: dict[str, str] = {}
    for name, item in equipment.value.equipment.items():
        for index, host in enumerate(item.hosts):
            loc = ("equipment", name, "hosts", index)
            if host not in hosts.value.all.hosts:
                yield equipment.fault(
                    *loc,
                    what=f"`{host}` is no host",
                    expected="a host of hosts.yml",
                    write=suggestion(host, list(hosts.value.all.hosts)) or "delete it",
                )
            elif host in owners:
                yield equipment.fault(
                    *loc,
                    what=f"`{host}` is already on the equipment `{owners[host]}`",
                    expected="one equipment for each host",
                    write="delete one of the two",
                )
            owners.setdefault(host, name)


CHECKS = (
    flavors_name_classes,
    ceilings_are_above_quotas,
    images_have_one_name,
    shares_add_up,
    equipment_has_suppliers,
    equipment_names_hosts,
)
