"""A bill of materials in CycloneDX 1.6 (ECMA-424), as far as the kit writes it.

The models refuse what the standard's JSON schema would refuse of these fields; the same parts give the same
bytes.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(min_length=1)]
Purl = Annotated[str, Field(pattern=r"^pkg:[a-z]+/[^\s@]+@[^\s]+$")]
NAMESPACE = uuid.UUID("6b6b2f3a-2d0f-5f0e-9c57-7a1f0f6f5f0d")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Hash(_Part):
    """A digest of one file."""

    alg: Literal["SHA-256", "SHA-384"]
    content: Annotated[str, Field(pattern=r"^([0-9a-f]{64}|[0-9a-f]{96})$")]


class Reference(_Part):
    """Where a component is had, with the digests of the files that may come from there."""

    type: Literal["distribution", "vcs"] = "distribution"
    url: Name
    hashes: tuple[Hash, ...] = ()


class Property(_Part):
    """What CycloneDX has no field for."""

    name: Name
    value: str


class Component(_Part):
    """One package, module or program."""

    type: Literal["library", "application", "operating-system", "platform"] = "library"
    name: Name
    version: Name
    purl: Purl | None = None
    hashes: tuple[Hash, ...] = ()
    references: tuple[Reference, ...] = ()
    properties: tuple[Property, ...] = ()

    @property
    def reference(self) -> str:
        """Its name in this bill."""
        return self.purl or f"{self.name}@{self.version}"

    def plain(self) -> dict[str, Any]:
        """As it is written; empty fields are left out."""
        written = self.model_dump(mode="json", exclude={"references"})
        written["externalReferences"] = [reference.model_dump(mode="json") for reference in self.references]
        for reference in written["externalReferences"]:
            if not reference["hashes"]:
                del reference["hashes"]
        return {"bom-ref": self.reference, **{name: value for name, value in written.items() if value}}


def bill(
    subject: Component,
    components: Iterable[Component],
    tool_version: str,
    vulnerabilities: Sequence[dict[str, Any]] = (),
) -> str:
    """The bill of a subject as JSON text.

    The serial number follows from the content: a bill that says the same is the same.

    Args:
        vulnerabilities: those known in its components, as ``vex`` writes them.
    """
    parts = sorted({part.reference: part for part in components}.values(), key=lambda part: part.reference)
    body: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "tools": {
                "components": [
                    {"type": "application", "bom-ref": "tool", "name": "socle", "version": tool_version}
                ]
            },
            "component": subject.plain(),
        },
        "components": [part.plain() for part in parts],
        "dependencies": [{"ref": subject.reference, "dependsOn": [part.reference for part in parts]}],
    }
    if vulnerabilities:
        body["vulnerabilities"] = list(vulnerabilities)
    serial = uuid.uuid5(NAMESPACE, json.dumps(body, sort_keys=True))
    return json.dumps({"serialNumber": f"urn:uuid:{serial}", **body}, indent=2, sort_keys=True) + "\n"
