"""An error in a site's file that a model finds: in the same words, whatever finds it."""

from __future__ import annotations

from pydantic_core import PydanticCustomError


def wrong(kind: str, expected: str, example: str, *at: str) -> PydanticCustomError:
    """An error with what was expected and an example of what to write (see ``messages.py``).

    Args:
        at: where it is, below what is being checked; there itself when nothing is named.
    """
    context = {"kind": kind, "expected": expected, "example": example, "at": at}
    return PydanticCustomError("socle", "{kind}", context)
