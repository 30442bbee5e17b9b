"""``records/*.yml``: what happened in the life of a site, each entry dated and answered for by a person.

A file that is missing means that the site keeps no such register: what depends on it is not evaluated.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from socle.site.fields import Bool, Count, Day, Entry, Moment, Sha256, Siren, Slug, Text

Severity = Literal["minor", "major", "critical"]
DrillKind = Literal[
    "restore",
    "continuity",
    "node-loss",
    "autonomy",
    "rebuild",
    "power",
    "cooling",
    "incident-notice",
    "export",
]
ReviewKind = Literal[
    "rights", "technical-accounts", "physical-access", "backup-access", "cabling", "procedures", "compliance"
]


class Drill(Entry):
    """An exercise, with what was measured."""

    kind: DrillKind
    date: Day
    by: Slug = Field(description="Login of a person of people.yml")
    result: Literal["passed", "failed"]
    report: Text = Field(description="Where the report is kept")
    sha256: Sha256 | None = Field(None, description="Hash of the report")
    recovery_minutes: Count | None = Field(None, description="Measured time until the service was back")
    loss_minutes: Count | None = Field(None, description="Measured age of the newest data that was lost")
    tenants: tuple[Siren, ...] = ()


class Review(Entry):
    """A periodic review by one person, approved by another."""

    kind: ReviewKind
    date: Day
    by: Slug
    approved_by: Slug | None = None
    findings: Count
    report: Text
    sha256: Sha256 | None = None


class Notice(Entry):
    """What tenants were told of an operation, a change or an incident."""

    kind: Literal["operation", "incident", "supplier", "law", "end"]
    sent: Moment
    starts: Moment
    ends: Moment | None = None
    nature: Text | None = None
    impact: Text | None = None
    contact: Text | None = None
    tenants: tuple[Siren, ...] = Field((), description="To whom; to all of them when empty")
    incident: Slug | None = Field(None, description="Its id in incidents.yml")
    severity: Severity | None = None


class Incident(Entry):
    """One incident, from its opening to its archive."""

    opened: Moment
    severity: Severity
    summary: Text
    customer_data: Bool = Field(description="Whether data of tenants is touched")
    personal_data: Bool = Field(description="Whether it is a breach of personal data")
    tenants: tuple[Siren, ...] = ()
    owner: Slug
    notified: Moment | None = Field(None, description="When the tenants were told")
    closed: Moment | None = None
    resolution: Text | None = None
    archive: Text | None = Field(None, description="Where its documents are kept")
    sha256: Sha256 | None = Field(None, description="Hash of the archive")


class Change(Entry):
    """One change of production."""

    date: Day
    kind: Literal["configuration", "upgrade", "equipment", "organisation"]
    summary: Text
    commit: Text | None = Field(None, description="Commit that was deployed")
    by: Slug
    approved_by: Slug | None = None
    rehearsed: Day | None = Field(None, description="When it passed on pre-production")
    tests: Text | None = Field(None, description="Report of the tests that ran before production")
    major: Bool = False


class Medium(Entry):
    """A medium that left the service, or was given to somebody else."""

    serial: Text
    equipment: Slug | None = None
    date: Day
    by: Slug
    method: Literal["key-destruction", "random-overwrite", "destruction"] | None = None
    certificate: Text | None = Field(
        None, description="Reference of the certificate of erasure or destruction"
    )
    given_to: Slug | None = Field(None, description="Supplier that got it")


class Support(Entry):
    """One access of support to a tenant's data, for a time, with the tenant's consent."""

    tenant: Siren
    by: Slug
    consent: Text | None = Field(None, description="Reference of the tenant's consent")
    start: Moment
    end: Moment
    withdrawn: Moment | None = Field(None, description="When the access was taken away")
    recording: Text | None = Field(None, description="Where the recording of the session is kept")


class Acknowledgement(Entry):
    """A person looked at an alarm of the daily audit, and what it came to."""

    at: Moment
    by: Slug
    conclusion: Text


class Drills(Entry):
    """``records/drills.yml``."""

    drills: dict[Slug, Drill]


class Reviews(Entry):
    """``records/reviews.yml``."""

    reviews: dict[Slug, Review]


class Notices(Entry):
    """``records/notices.yml``."""

    notices: dict[Slug, Notice]


class Incidents(Entry):
    """``records/incidents.yml``."""

    incidents: dict[Slug, Incident]


class Changes(Entry):
    """``records/changes.yml``."""

    changes: dict[Slug, Change]


class Media(Entry):
    """``records/media.yml``."""

    media: dict[Slug, Medium]


class Supports(Entry):
    """``records/support.yml``."""

    support: dict[Slug, Support]


class Alarms(Entry):
    """``records/alarms.yml``."""

    alarms: dict[Slug, Acknowledgement] = Field(
        description="By the name of the alarm, as `socle audit alarms` shows it"
    )


REGISTERS: dict[str, type[BaseModel]] = {
    "drills": Drills,
    "reviews": Reviews,
    "notices": Notices,
    "incidents": Incidents,
    "changes": Changes,
    "media": Media,
    "support": Supports,
    "alarms": Alarms,
}
"""The registers by the name of their file, which is the key of their entries as well."""
