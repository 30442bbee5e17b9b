"""Turn the validation errors of pydantic into faults that say what was expected and what to write."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from socle.site.document import Document, Fault, Loc, Mapping, Sequence, scalar
from socle.site.patterns import WORDS

LONGEST_VALUE = 40
SAY_NO = ("no", "n", "non", "off", "0")
_KINDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "finite_number": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list (lines that start with `- `)",
    "dict_type": "a mapping (`key: value`)",
    "model_type": "a mapping (`key: value`)",
    "model_attributes_type": "a mapping (`key: value`)",
    "none_required": "nothing after the colon",
    "too_short": "at least {min_length} item(s)",
    "string_too_short": "at least {min_length} character(s)",
    "string_too_long": "at most {max_length} characters",
    "greater_than_equal": "a number of at least {ge}",
    "less_than_equal": "a number of at most {le}",
    "greater_than": "a number above {gt}",
    "less_than": "a number below {lt}",
    "string_pattern_mismatch": "text that matches {pattern}",
    "literal_error": "{expected}",
    "union_tag_invalid": "{expected_tags}",
    "union_tag_not_found": "`{discriminator}`",
}


def shown(value: Any) -> str:
    """A value as it may appear in an error: short and on one line."""
    if isinstance(value, Mapping | dict):
        return "a mapping"
    if isinstance(value, Sequence | list | tuple):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    text = f'"{value}"' if isinstance(value, str) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 2]}…"


def suggestion(word: str, known: list[str]) -> str | None:
    """`write …` when a known name looks like ``word``."""
    near = get_close_matches(word, known, n=1, cutoff=0.6)
    if not near:
        return None
    text = _written(near[0])
    return f"write `{near[0]}`" if text == near[0] else f"write {text}, in quotes"


def faults_of(document: Document, model: type[BaseModel], error: ValidationError) -> Iterator[Fault]:
    """Every error of a file as a fault at its line."""
    seen: set[tuple[int, str]] = set()
    found = error.errors(include_url=False, include_input=True)
    for details in found:
        if details["type"] == "too_short" and any(_inside(other["loc"], details["loc"]) for other in found):
            # Pydantic counts the good entries only: mending the bad one mends this.
            continue
        fault = _fault(document, model, details)
        if (fault.line, fault.what) not in seen:
            seen.add((fault.line, fault.what))
            yield fault


def _inside(loc: Loc, outer: Loc) -> bool:
    return len(loc) > len(outer) and loc[: len(outer)] == outer


def _fault(document: Document, model: type[BaseModel], details: ErrorDetails) -> Fault:
    loc = _real(document.root, details["loc"])
    kind, context = details["type"], details.get("ctx", {})
    at: Loc = (*loc, *context.get("at", ()))
    if kind == "extra_forbidden":
        return _unknown_key(document, model, details["loc"], loc)
    if kind == "missing":
        return _missing(document, model, details["loc"], loc)
    name = _name(at)
    if kind == "socle":
        example = context["example"]
        what = f"{name}: {context['kind']}" if name else context["kind"]
        return document.fault(at, what, context["expected"], f"write for example {example}")
    word = str(details["input"])
    near = suggestion(word, re.findall("'([^']*)'", context.get("expected", "")))
    if details["loc"][-1:] == ("[key]",):
        what = f"`{word:.40}` is not a name that {_name(loc[:-1]) or 'the file'} can hold"
        return document.fault(loc, what, _expected(kind, context), near)
    value = shown(details["input"])
    what = f"{name} is {value}" if name else f"the file holds {value}"
    return document.fault(
        at, what, _expected(kind, context), near or _write(model, details["loc"], loc, word)
    )


def _real(root: Any, loc: Loc) -> Loc:
    """The location in the file: without the tags of unions and the marks that pydantic puts in."""
    node = root
    real: list[str | int] = []
    for index, step in enumerate(loc):
        if isinstance(node, Mapping) and isinstance(step, str):
            if step in node:
                node = node[step]
                real.append(step)
            elif index == len(loc) - 1 and step != "[key]":
                real.append(step)
        elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node):
            node = node[step]
            real.append(step)
    return tuple(real)


def _name(loc: Loc) -> str:
    """`a.b[2].c` as `b[3].c`: the last steps, counted from one as people do."""
    text = ""
    for step in loc[-3:]:
        text += f"[{step + 1}]" if isinstance(step, int) else f".{step:.40}"
    return f"`{text.lstrip('.')}`" if text else ""


def _expected(kind: str, context: dict[str, Any]) -> str:
    template = _KINDS.get(kind)
    if template is None:
        return "a value that the schema allows"
    if kind == "string_pattern_mismatch" and context["pattern"] in WORDS:
        return WORDS[context["pattern"]]
    return template.format(**context).replace("'", "`")


def _unknown_key(document: Document, model: type[BaseModel], raw: Loc, loc: Loc) -> Fault:
    known = sorted(_fields(_model_at(model, raw[:-1])))
    word = str(loc[-1]) if loc else "?"
    expected = f"one of {', '.join(known)}" if known else None
    # In braces a comma ends a value: what stands behind it is taken for a key.
    otherwise = "write a decimal with a point, as in 7.5" if word.isdigit() else "delete the line"
    what = f"`{word:.40}` is not a key here"
    return document.fault(loc, what, expected, suggestion(word, known) or otherwise)


def _missing(document: Document, model: type[BaseModel], raw: Loc, loc: Loc) -> Fault:
    holder = _name(loc[:-1]) or "the file"
    return document.fault(loc, f"{holder} has no `{loc[-1]}`", f"`{loc[-1]}`", _write(model, raw, loc))


def _write(model: type[BaseModel], raw: Loc, loc: Loc, found: str = "") -> str | None:
    """`write key: example` from the field's own example, or from its type.

    Args:
        found: what stands there; a word that says no is false.
    """
    if not loc or isinstance(loc[-1], int):
        return None
    field = _fields(_model_at(model, raw[:-1])).get(str(loc[-1]))
    if field is None:
        return None
    example = _example(field)
    if example == "true" and found.lower() in SAY_NO:
        example = "false"
    return f"write for example `{loc[-1]}: {example}`" if example else None


def _example_of(annotation: Any) -> str | None:
    if get_origin(annotation) is Annotated:
        found = next(filter(None, map(_examples, get_args(annotation)[1:])), None)
        return _written(found[0]) if found else None
    if get_origin(annotation) is types.UnionType or get_origin(annotation) is Union:
        return next((e for e in map(_example_of, get_args(annotation)) if e), None)
    return {bool: "true", int: "1", float: "1.0"}.get(annotation)


def _example(field: FieldInfo) -> str | None:
    examples = field.examples or next(filter(None, map(_examples, field.metadata)), None)
    if examples:
        return _written(examples[0])
    lowest = next((part.ge for part in field.metadata if hasattr(part, "ge")), 0)
    return str(lowest) if lowest > 1 else _example_of(field.annotation)


def _written(example: Any) -> str:
    """An example as YAML writes it: text that looks like a number in quotes."""
    text = str(example)
    return f'"{text}"' if isinstance(example, str) and scalar(text) != text else text


def _examples(part: Any) -> list[Any] | None:
    """The examples of one piece of metadata of a field."""
    schema = getattr(part, "json_schema", None) or {}
    return getattr(part, "examples", None) or schema.get("examples")


def _fields(model: Any) -> dict[str, FieldInfo]:
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return {}
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _model_at(annotation: Any, loc: Loc) -> Any:
    """The type at a location of pydantic, walked through lists, mappings, options and tagged unions."""
    for step in loc:
        annotation = _step(_bare(annotation), step)
    return _bare(annotation)


def _bare(annotation: Any) -> Any:
    """Without ``Annotated`` and ``| None``."""
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation = get_args(annotation)[0]
        elif origin in (types.UnionType, Union):
            parts = [part for part in get_args(annotation) if part is not type(None)]
            if len(parts) != 1:
                return annotation
            annotation = parts[0]
        else:
            return annotation


def _step(annotation: Any, step: str | int) -> Any:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is tuple and isinstance(step, int):
        return args[0]
    if origin is dict:
        return args[1]
    if origin in (types.UnionType, Union):
        return next((part for part in args if _tag(part) == step), None)
    field = _fields(annotation).get(str(step))
    return field.annotation if field else None


def _tag(model: Any) -> Any:
    field = _fields(model).get("type")
    return get_args(field.annotation)[0] if field else None
