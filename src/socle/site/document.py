"""Read one YAML file into plain values that remember their line, whatever bytes the file holds.

The C parser of libyaml gives events; a loop of ours builds dicts and lists from them, so that a hostile file
meets a limit of depth and size and never a recursion. Scalars follow the core schema of YAML 1.2 (``no`` is
text, not false). Anchors, aliases and tags are refused: a site file says each thing where it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, cast

import yaml  # type: ignore[import-untyped]
from yaml.cyaml import CParser  # type: ignore[import-untyped]

from socle.errors import ExitCode, SocleError

MAX_BYTES = 1 << 20
MAX_DEPTH = 24

type Loc = tuple[str | int, ...]

_TURNING = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""Signs that turn the direction of writing: what is shown is not what is read (Unicode, Bidi_Control)."""
_UNSEEN = f"\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\u2028\u2029{_TURNING}\ud800-\udfff\ufffe\uffff"
_FORBIDDEN = re.compile(f"[{_UNSEEN}]")
_ESCAPED = re.compile(f"[{_UNSEEN}\t\n\r\x85]")
"""What no escape may write: in quotes, text is one line."""
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})\Z")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})(\.[0-9]{0,18})?([eE][-+]?[0-9]{1,2})?\Z")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9:.]+(Z|[-+][0-9:]+)?\Z")
_WORDS: dict[str, bool | None] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMBER_STARTS = frozenset("0123456789+-")


class Mapping(dict[str, Any]):
    """A mapping that knows the line of each of its keys (from 1)."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        self.lines: dict[str, int] = {}


class Sequence(list[Any]):
    """A list that knows the line of each of its items (from 1)."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        self.lines: list[int] = []


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong at one line of a file."""

    path: Path
    line: int
    what: str
    expected: str | None = None
    write: str | None = None

    def error(self) -> SocleError:
        """The fault as the error that a person reads."""
        cwd = Path.cwd()
        path = self.path.relative_to(cwd) if self.path.is_relative_to(cwd) else self.path
        return SocleError(
            _one_line(self.what),
            where=_one_line(f"{path}:{self.line}"),
            expected=self.expected and _one_line(self.expected),
            write=self.write and _one_line(self.write),
            exit_code=ExitCode.INVALID_SITE,
        )


def _one_line(text: str) -> str:
    """Text that a file or its name may have chosen, without line ends or anything a terminal would obey."""
    return "".join(char if char.isprintable() else "�" for char in " ".join(text.split()))


class SiteErrors(SocleError):  # noqa: N818 - it holds several errors
    """Everything that is wrong with a site folder, sorted by file and line."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        ordered = sorted(set(faults), key=lambda f: (str(f.path), f.line, f.what))
        self.errors = [fault.error() for fault in ordered]
        count = len(self.errors)
        super().__init__(
            f"{count} error{'s' if count > 1 else ''} in the site files", exit_code=ExitCode.INVALID_SITE
        )

    def __str__(self) -> str:
        return "\n".join(error.line() for error in self.errors)


@dataclass(frozen=True)
class Document:
    """One file that was read: its values, or the faults that kept it from being read."""

    path: Path
    root: Any = None
    faults: list[Fault] = field(default_factory=list)

    def line(self, loc: Loc) -> int:
        """The line of the value at ``loc``, or of the nearest thing above it that exists."""
        node, found = self.root, 1
        for step in loc:
            if isinstance(node, Mapping) and step in node:
                node, found = node[cast(str, step)], node.lines[cast(str, step)]
            elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node):
                node, found = node[step], node.lines[step]
        return found

    def fault(self, loc: Loc, what: str, expected: str | None = None, write: str | None = None) -> Fault:
        """A fault of this file at ``loc``."""
        return Fault(self.path, self.line(loc), what, expected, write)


class _FaultFoundError(Exception):
    """Reading cannot go on after this fault."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        super().__init__(fault.what)


def read(path: Path) -> Document:
    """Read ``path``; what is wrong with it is in ``faults``, never raised."""
    try:
        text = _text(path)
        faults: list[Fault] = []
        return Document(path, _Builder(path, faults).build(text), faults)
    except _FaultFoundError as found:
        return Document(path, None, [found.fault])


def _text(path: Path) -> str:
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise _FaultFoundError(Fault(path, 1, "not a regular file", "a YAML file", "remove or rename it"))
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _FaultFoundError(
            Fault(path, 1, "the file is missing", "a YAML file", f"write {path.name}")
        ) from None
    except IsADirectoryError:
        raise _FaultFoundError(
            Fault(path, 1, "this is a folder", "a YAML file", "remove or rename it")
        ) from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise _FaultFoundError(Fault(path, 1, f"cannot be read: {reason}", "a readable file")) from None
    if len(data) > MAX_BYTES:
        raise _FaultFoundError(Fault(path, 1, "the file is larger than 1 MiB", "a smaller file", "split it"))
    return _decoded(path, data)


def _decoded(path: Path, data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _FaultFoundError(
            Fault(path, line, "a byte that is not UTF-8", "UTF-8 text", "save the file as UTF-8")
        ) from None
    bad = _FORBIDDEN.search(text)
    if bad:
        line = text.count("\n", 0, bad.start()) + 1
        raise _FaultFoundError(Fault(path, line, *_control(bad)))
    return text


def _control(found: re.Match[str]) -> tuple[str, str, str]:
    write = "write the lines as a block (`|`)" if found.group() == "\n" else "delete the character"
    return f"the control character U+{ord(found.group()):04X}", "printable text", write


def scalar(text: str) -> Any:
    """The value of a plain (unquoted) scalar; a number that starts with 0 or is over 18 digits stays text."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_STARTS:
        return text
    if _INTEGER.match(text):
        return int(text)
    return float(text) if _FLOAT.match(text) else _moment_or_text(text)


def _moment_or_text(text: str) -> Any:
    try:
        if _DATE.match(text):
            return date.fromisoformat(text)
        if _MOMENT.match(text):
            return datetime.fromisoformat(text)
    except ValueError:
        return text
    return text


class _Builder:
    """Builds values from events with a stack of its own: what is open, and the key that waits for a value."""

    def __init__(self, path: Path, faults: list[Fault]) -> None:
        self.path = path
        self.faults = faults
        self.holder: Mapping | Sequence | None = None
        self.key: str | None = None
        self.around: list[Mapping | Sequence | None] = []
        self.root: Any = None
        self.quoted = (0, 0)
        """First and last line, from 0, of the last text in quotes."""

    def build(self, text: str) -> Any:
        parser = CParser(text)
        try:
            while (event := parser.get_event()) is not None:
                if type(event) is yaml.ScalarEvent:
                    self._scalar(event)
                else:
                    self._structure(event)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            opened = self._open_quote(error)
            if opened is not None:
                close = "close it at the end of the text"
                raise self._stop(opened + 1, "a quote that is not closed", "valid YAML", close) from None
            what = _syntax(error)
            remedy = _remedy(what, text, mark)
            raise self._stop(mark.line + 1 if mark else 1, what, "valid YAML", remedy) from None
        except yaml.YAMLError as error:
            raise self._stop(1, f"not YAML: {' '.join(str(error).split())[:80]}", "valid YAML") from None
        finally:
            parser.dispose()
        return self.root

    def _open_quote(self, error: yaml.MarkedYAMLError) -> int | None:
        """The line, from 0, of the quote that swallowed the lines up to the error, if one did."""
        if "quoted scalar" in (error.context or "") and error.context_mark:
            return int(error.context_mark.line)
        mark = error.problem_mark or error.context_mark
        first, last = self.quoted
        return first if mark and first < last == mark.line else None

    def _stop(
        self, line: int, what: str, expected: str | None = None, write: str | None = None
    ) -> _FaultFoundError:
        return _FaultFoundError(Fault(self.path, line, what, expected, write))

    def _structure(self, event: Any) -> None:
        kind, line = type(event), event.start_mark.line + 1
        if kind is yaml.MappingStartEvent:
            self._open(event, Mapping(), line)
        elif kind is yaml.SequenceStartEvent:
            self._open(event, Sequence(), line)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self.holder, self.key = self.around.pop(), None
        elif kind is yaml.AliasEvent:
            raise self._stop(line, "an alias (*)", "plain values", "write the value again")
        elif kind is yaml.DocumentStartEvent and self.root is not None:
            raise self._stop(line, "a second document (---)", "one per file", "split the file")

    def _decorated(self, event: Any) -> _FaultFoundError:
        line = event.start_mark.line + 1
        if event.anchor is not None:
            what = f"the anchor &{event.anchor[:40]}"
            return self._stop(line, what, "plain values", "write the value again")
        return self._stop(line, f"the tag {event.tag[:40]}", "plain values", "delete the tag")

    def _scalar(self, event: Any) -> None:
        if event.tag is not None or event.anchor is not None:
            raise self._decorated(event)
        text, holder = event.value, self.holder
        if event.style in ("'", '"'):
            self.quoted = (event.start_mark.line, event.end_mark.line)
        if event.style == '"' and (bad := _ESCAPED.search(text)):
            line = event.start_mark.line + 1
            self.faults.append(Fault(self.path, line, *_control(bad)))
        if type(holder) is Mapping and self.key is None:
            self._name(holder, text, event.start_mark.line + 1)
        else:
            self._add(text if event.style else scalar(text), event.start_mark.line + 1)

    def _name(self, mapping: Mapping, key: str, line: int) -> None:
        self.key = key
        first = mapping.lines.setdefault(key, line)
        if key in mapping:
            expected = f"one value (the first is at line {first})"
            what = f"`{key[:40]}` is written twice"
            self.faults.append(Fault(self.path, line, what, expected, "delete one of them"))

    def _open(self, event: Any, value: Mapping | Sequence, line: int) -> None:
        if event.tag is not None or event.anchor is not None:
            raise self._decorated(event)
        self._add(value, line)
        if len(self.around) >= MAX_DEPTH:
            raise self._stop(line, f"nested over {MAX_DEPTH} levels deep", "flatter values")
        self.around.append(self.holder)
        self.holder, self.key = value, None

    def _add(self, value: Any, line: int) -> None:
        holder = self.holder
        if type(holder) is Mapping:
            if self.key is None:
                raise self._stop(line, "a list or mapping used as a key", "text before the colon")
            holder.setdefault(self.key, value)
            self.key = None
        elif type(holder) is Sequence:
            holder.append(value)
            holder.lines.append(line)
        else:
            self.root = value


def _syntax(error: yaml.MarkedYAMLError) -> str:
    parts = [part for part in (error.context, error.problem) if part]
    return f"not YAML: {', '.join(parts)}"


def _remedy(what: str, text: str, mark: Any) -> str | None:
    lines = text.splitlines()
    if mark is None or mark.line >= len(lines):
        return None
    if "\t" in lines[mark.line] or "tab" in what:
        return "indent with spaces, never with tabs"
    if "mapping values are not allowed" in what:
        return "put text that holds a colon in quotes"
    return "look at the colons, quotes and indentation of this line and the one above"
