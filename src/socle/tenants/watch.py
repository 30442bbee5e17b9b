"""What Pulumi says of a run: how many resources it did what to, and each error as one line."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pulumi import automation

from socle.errors import SocleError
from socle.tenants.state import RESTORE

LONGEST = 400
URN = re.compile(r"urn:pulumi:\S*::([^\s:'\"]+)")
SUMMARIES = ("update failed", "preview failed", "refresh failed", "destroy failed")
"""What Pulumi says of the stack when one of its resources failed, after saying why."""
NOT_MADE = re.compile(r"when accessing \[POST [^\]]*\], but got 4\d\d instead")
"""How the provider tells that an API refused to make something: a taken name, a quota, a wrong value."""
CREATIONS = (automation.OpType.CREATE, automation.OpType.CREATE_REPLACEMENT)


@dataclass
class Watch:
    """Gets the events of one run."""

    counts: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)
    """Creations that failed, in the form of a state's pending operations."""
    refused: set[str] = field(default_factory=set)
    """URNs of those that an API refused: what bears their name in the cloud was there before."""

    @property
    def doubtful(self) -> list[dict[str, Any]]:
        """Creations that failed, and may have happened all the same."""
        return [one for one in self.failed if one["resource"]["urn"] not in self.refused]

    def __call__(self, event: automation.EngineEvent) -> None:
        """Take one event."""
        if event.summary_event:
            self.counts = plain(event.summary_event.resource_changes)
        failed = event.res_op_failed_event
        if failed and failed.metadata.new and failed.metadata.op in CREATIONS:
            self.failed.append({"type": "creating", "resource": _resource(failed.metadata.new)})
        found = event.diagnostic_event
        if found and found.severity == "error" and found.message.strip() not in SUMMARIES:
            name = found.urn.rpartition("::")[2] if found.urn else ""
            if NOT_MADE.search(" ".join(found.message.split())):
                self.refused.add(str(found.urn))
            line = ": ".join(part for part in (name, one_line(found.message)) if part)
            if line not in self.errors:
                self.errors.append(line)


def plain(changes: Mapping[Any, int]) -> dict[str, int]:
    """Counts by the name of the operation."""
    return {str(getattr(operation, "value", operation)): int(count) for operation, count in changes.items()}


def one_line(message: str) -> str:
    """A message without colours, line breaks and the long names that Pulumi gives resources."""
    bare = re.sub(r"<\{%.*?%\}>|\x1b\[[0-9;]*m", "", message)
    return textwrap.shorten(URN.sub(r"\1", bare), LONGEST, placeholder=" …")


def _resource(new: automation.StepEventStateMetadata) -> dict[str, Any]:
    """A resource as a state has it; what is secret in it was taken out by Pulumi."""
    kept = ("urn", "type", "custom", "parent", "provider", "protect", "inputs")
    return {name: value for name in kept if (value := getattr(new, name))}


@contextmanager
def watched(stack: str) -> Iterator[Watch]:
    """Watch the runs of the block; when Pulumi fails, its reasons become one line.

    Raises:
        SocleError: Pulumi failed.
    """
    watch = Watch()
    try:
        yield watch
    except automation.CommandError as error:
        said = re.findall(r"^error: (.+(?:\n(?!\S+:).+)*)", str(error), re.MULTILINE)
        reasons = watch.errors or [one_line(text) for text in said] or ["Pulumi failed"]
        told = "; ".join(dict.fromkeys(reasons))
        raise SocleError(
            told,
            where=f"stack {stack}",
            write=f"when the name is taken: {RESTORE}" if "but got 409 instead" in told else "",
        ) from error
