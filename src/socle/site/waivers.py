"""``derogations/*.yml``: waivers, each dated and signed by a named person."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from socle.site.fields import Day, Entry, Slug, Text


class Waiver(Entry):
    """A rule that is not followed, where, why, by whose decision and until when."""

    rule: Text = Field(examples=["I4"])
    applies_to: tuple[Text, ...] = Field(min_length=1)
    reason: Text
    compensation: Text
    decided_by: Slug = Field(description="Login of a person of people.yml")
    start: Day
    end: Day

    @model_validator(mode="after")
    def _end_after_start(self) -> Self:
        if self.end <= self.start:
            context = {
                "kind": "the waiver ends before it starts",
                "expected": f"an end after {self.start}",
                "example": "end: …",
                "at": ("end",),
            }
            raise PydanticCustomError("socle", "{kind}", context)
        return self
