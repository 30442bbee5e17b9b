"""``derogations/*.yml``: waivers, each dated and signed by a named person."""

from __future__ import annotations

from datetime import timedelta
from typing import Self

from pydantic import Field, model_validator

from socle.site.fields import Day, Entry, Slug, Text
from socle.site.wrong import wrong

LONGEST = 366
"""Days: twelve months, in a leap year too."""


class Waiver(Entry):
    """A rule that is not followed, where, why, by whose decision and until when."""

    rule: Text = Field(
        description="A rule of the site's files (I4), of BP-028 (anssi-bp-028-r58) or a control of the audit",
        examples=["I4"],
    )
    applies_to: tuple[Text, ...] = Field(min_length=1)
    reason: Text
    compensation: Text
    owner: Slug = Field(description="Login of the person of people.yml who answers for the repair")
    decided_by: Slug = Field(description="Login of another person of people.yml, who accepts the risk")
    start: Day
    end: Day

    @model_validator(mode="after")
    def _end_after_start(self) -> Self:
        latest = self.start + timedelta(LONGEST)
        if self.end <= self.start:
            raise wrong(
                "the waiver ends before it starts", f"an end after {self.start}", f"end: {latest}", "end"
            )
        if self.end > latest:
            raise wrong(
                "the waiver is longer than twelve months", "at most twelve months", f"end: {latest}", "end"
            )
        if self.owner == self.decided_by:
            kind, example = (
                "the owner of the waiver decided it",
                "decided_by: the login of who accepts the risk",
            )
            raise wrong(kind, "another person", example, "decided_by")
        if any("*" in subject for subject in self.applies_to):
            expected = "hosts or other subjects by name"
            raise wrong("the waiver is for everything", expected, "applies_to: [sto1]", "applies_to")
        return self
