"""``people.yml``: the named administrators, and the custodians of OpenBao's unseal shares."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from socle.site.fields import Email, Entry, PgpKey, Slug, SshKey, Text

Role = Literal["operator", "network-operator", "crypto-officer", "auditor", "custodian"]


class Person(Entry):
    """A person of the GIP; nobody works under a shared name."""

    name: Text
    email: Email
    roles: tuple[Role, ...] = Field(min_length=1)
    ssh_keys: tuple[SshKey, ...] = ()
    pgp_key: PgpKey | None = Field(None, description="Public key to which an unseal share is encrypted")


class People(Entry):
    """The people of the GIP by login name."""

    people: dict[Slug, Person]
    custodians: tuple[Slug, ...] = Field((), description="Who holds one unseal share each")
