"""What the site's own files say: hosts, segments, people, suppliers, tenants."""

from __future__ import annotations

from collections.abc import Iterator

from socle.audit.collect.collector import Collector, FactKind, of_site
from socle.audit.model import Fact
from socle.site import Site


def _read(site: Site) -> Iterator[Fact]:
    suppliers = {name: supplier.model_dump(mode="json") for name, supplier in site.suppliers.items()}
    yield Fact(name="site.suppliers", subject=site.name, value=suppliers)


COLLECTORS: tuple[Collector, ...] = (
    Collector(
        name="site files",
        kinds=frozenset({"static", "live"}),
        facts=(
            FactKind(
                "site.suppliers", of_site, "Fournisseurs, leur pays et leur capital, d’après suppliers.yml"
            ),
        ),
        read=_read,
        permission="les fichiers du site, tels que validés",
    ),
)
