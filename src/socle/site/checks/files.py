"""The folder of a site: files that site.yml names are there, folders have the names that are read."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from socle.site.document import Fault
from socle.site.parts import Part
from socle.site.settings import Settings

FOLDERS = ("derogations", "evidence", "records", "tenants")


def authorities_are_there(folder: Path, settings: Part[Settings]) -> Iterator[Fault]:
    """Certificates by which the audit knows whom it calls lie in the site folder."""
    auditing = settings.value.audit
    for key, named in (("alerts", auditing.alerts), ("timestamps", auditing.timestamps)):
        if named and named.ca_file and not (folder / named.ca_file).is_file():
            yield settings.fault(
                "audit",
                key,
                "ca_file",
                what=f"`{named.ca_file}` is not there",
                expected="a certificate, PEM, in the site folder",
                write="put it there, or correct the name",
            )


def folders_are_read(folder: Path) -> Iterator[Fault]:
    """A folder that is nearly named like one that is read: what lies in it would count for nothing."""
    for path in sorted(folder.iterdir()):
        if path.name in FOLDERS or not path.is_dir():
            continue
        plain = unicodedata.normalize("NFKD", path.name.casefold()).encode("ascii", "ignore").decode()
        near = get_close_matches(plain, FOLDERS, n=1, cutoff=0.8)
        if near:
            expected = ", ".join(f"{name}/" for name in FOLDERS)
            yield Fault(path, 1, "nobody reads a folder of this name", expected, f"rename it to `{near[0]}`")


CHECKS = (authorities_are_there, folders_are_read)
