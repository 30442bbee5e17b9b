"""``evidence/*.yml``: documents that people answer for, where no machine can judge alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Self

from pydantic import Field, model_validator

from socle.site.fields import Day, Entry, Sha256, Slug, Text
from socle.site.wrong import wrong

YEAR = timedelta(days=365)
FILE = "file: documents/policy.pdf"
"""An example."""


class Evidence(Entry):
    """One document: what it is, where it is kept, who owns and who signed it, and how long it is good."""

    title: Text
    requirements: tuple[Text, ...] = Field(min_length=1, examples=[["5.2.a", "5.2.b"]])
    file: Text | None = Field(None, description="Path below the site folder")
    reference: Text | None = Field(None, description="Where it is kept, when it is not in the site folder")
    sha256: Sha256 = Field(description="Hash of the document")
    owner: Slug = Field(description="Login of a person of people.yml")
    signed_by: Slug = Field(description="Login of another person of people.yml")
    effective: Day
    valid_until: Day
    signature: Text | None = Field(
        None, description="Detached PGP signature of the file by `signed_by`, path below the site folder"
    )

    @model_validator(mode="after")
    def _plausible(self) -> Self:
        if (self.file is None) == (self.reference is None):
            raise wrong(
                "a document is kept at one place",
                "`file` or `reference`",
                "file: documents/policy.pdf",
                "file",
            )
        if self.valid_until <= self.effective:
            wanted = f"a day after {self.effective}"
            example = f"valid_until: {self.effective + YEAR}"
            raise wrong("it ends before it begins", wanted, example, "valid_until")
        if self.owner == self.signed_by:
            raise wrong(
                "its owner signed it", "another person", "signed_by: the login of who signed it", "signed_by"
            )
        if self.signature and not self.file:
            raise wrong(
                "a signature without its file proves nothing",
                "`file`",
                "file: documents/policy.pdf",
                "signature",
            )
        return self
