"""Typed form of ``services.yml`` and the questions that the rest of the kit asks of it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Literal

import yaml  # type: ignore[import-untyped]
from pydantic import BaseModel, ConfigDict, Field

SecretKind = Literal["password", "hex32", "uuid", "fernet", "cephx"]
Named = Literal["host", "internal", "public", "vault"]
Zone = Literal["admin", "api", "storage", "overlay", "provider", "oob"]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Front(_Entry):
    """How HAProxy publishes a listener: on which VIPs, over TLS or not, one active back end or all."""

    zones: tuple[Zone, ...]
    callers: tuple[str, ...] = Field(("controllers", "computes", "gateways", "deployer"), alias="from")
    """Who calls it in the admin zone; the api zone is for everybody."""
    port: int | None = None
    tls: bool = True
    single: bool = False


class Listener(_Entry):
    """One open port (or a range of ports) of a component."""

    port: int = Field(ge=1, le=65535)
    last_port: int | None = None
    protocol: Literal["tcp", "udp", "http", "https"]
    zone: Zone
    callers: tuple[str, ...] = Field(alias="from")
    tls: Literal["none", "server", "mutual", "own"]
    health: str | None = None
    front: Front | None = None

    @property
    def front_port(self) -> int:
        """The port on the VIP, the same as the back end's unless the front end names its own."""
        return self.front.port if self.front and self.front.port else self.port


class KeystoneService(_Entry):
    """An entry of the Keystone catalogue."""

    type: str
    name: str
    path: str


class Identity(_Entry):
    """The Keystone account of a component and what it publishes."""

    user: str | None = None
    roles: tuple[str, ...] = ("service",)
    service: KeystoneService | None = None


class Certificate(_Entry):
    """A certificate of a component on its hosts."""

    owner: str
    """Account whose group reads the key."""
    reload: str = ""
    """Unit to reload when it is new; empty where each connection reads the files again."""
    names: tuple[Named, ...] = ("host",)
    """What it proves to be: the host, a shared address, OpenBao under the name that all its nodes have."""


class Component(_Entry):
    """One component of the cloud, deployed by the role of the same name."""

    title: str
    runs_on: tuple[str, ...]
    packages: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    user: str = "root"
    databases: tuple[str, ...] = ()
    queue: bool = False
    identity: Identity | None = None
    vault_login: bool = False
    """Whether it logs in to OpenBao itself, on each of its hosts by an AppRole of its own."""
    secrets: dict[str, SecretKind] = Field(default_factory=dict)
    certificates: dict[str, Certificate] = Field(default_factory=dict)
    listeners: dict[str, Listener] = Field(default_factory=dict)


class Catalogue(_Entry):
    """All components by name, in the order in which they are deployed."""

    components: dict[str, Component]

    def __getitem__(self, name: str) -> Component:
        return self.components[name]

    def of_groups(self, groups: Iterable[str]) -> dict[str, Component]:
        """The components that run on a host with these Ansible groups."""
        member = {*groups, "all"}
        return {name: c for name, c in self.components.items() if member & set(c.runs_on)}

    def packages_of(self, groups: Iterable[str]) -> tuple[str, ...]:
        """Debian packages of a host with these groups, sorted and without repeats."""
        return tuple(sorted({p for c in self.of_groups(groups).values() for p in c.packages}))


@cache
def load() -> Catalogue:
    """Read ``services.yml``, which ships with the package; a fault in it is a bug, not a user's error."""
    text = files("socle.catalogue").joinpath("services.yml").read_text(encoding="utf-8")
    return Catalogue(components=yaml.load(text, yaml.CSafeLoader))
