"""``people.yml``: the named administrators, and the custodians of OpenBao's unseal shares."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from socle.site.fields import Day, Email, Entry, PersonName, PgpKey, Slug, SshKey, Text

Role = Literal["operator", "network-operator", "crypto-officer", "auditor", "custodian"]


class Screening(Entry):
    """The check of a person's background before they got their roles; only its reference is kept."""

    reference: Text
    date: Day
    level: Literal["standard", "reinforced"]


class Person(Entry):
    """A person of the GIP; nobody works under a shared name."""

    name: PersonName
    email: Email
    roles: tuple[Role, ...] = Field(min_length=1)
    ssh_keys: tuple[SshKey, ...] = Field(
        (), description="Keys that sign commits of the site's files; they open no session"
    )
    pgp_key: PgpKey | None = Field(None, description="Public key to which an unseal share is encrypted")
    screening: Screening | None = None


class Leaver(Entry):
    """A person who left: nothing of theirs may be found anywhere any more."""

    name: PersonName
    email: Email
    left: Day


class People(Entry):
    """The people of the GIP by login name."""

    people: dict[Slug, Person]
    leavers: dict[Slug, Leaver] = Field(
        default_factory=dict, description="People who left, by the login that they had"
    )
    custodians: tuple[Slug, ...] = Field((), description="Who holds one unseal share each")
