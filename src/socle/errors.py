"""Errors that people read: one line that says what is wrong, what was expected and what to write."""

from __future__ import annotations

from enum import Enum, IntEnum, auto


class ExitCode(IntEnum):
    """Exit status of every ``socle`` command, as documented in the README."""

    OK = 0
    FAILED = 1
    USAGE = 2
    INVALID_SITE = 3
    PREREQUISITE = 4
    LOCKED = 5
    UNREACHABLE = 6


class Cause(Enum):
    """What lies behind an error, for those who tell it in words of their own (the audit, in French)."""

    OPENBAO_SILENT = auto()
    OPENBAO_SEALED = auto()
    OPENBAO_NOT_INITIALISED = auto()
    OPENBAO_NOT_TRUSTED = auto()
    OPENBAO_REFUSES = auto()
    NO_LOGIN = auto()
    NO_SECRET = auto()
    SSH_FAILED = auto()


class SocleError(Exception):
    """An expected failure, shown as one line and never as a traceback.

    Args:
        what: what is wrong, as a short phrase.
        where: ``file:line``, a host name or a URL.
        expected: what would have been right.
        write: what to write or run to repair it.
        exit_code: the status that the command ends with.
        cause: what lies behind it, where somebody asks.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        expected: str | None = None,
        write: str | None = None,
        exit_code: ExitCode = ExitCode.FAILED,
        cause: Cause | None = None,
    ) -> None:
        self.what = what
        self.where = where
        self.expected = expected
        self.write = write
        self.exit_code = exit_code
        self.cause = cause
        super().__init__(self.line())

    def line(self) -> str:
        """The error as ``where: what; expected …; write …``."""
        head = f"{self.where}: {self.what}" if self.where else self.what
        parts = [head]
        if self.expected:
            parts.append(f"expected {self.expected}")
        if self.write:
            parts.append(self.write)
        return "; ".join(parts)
