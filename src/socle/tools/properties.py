"""Compares the properties that the plugin answers for with those of the ``pulumi-openstack`` package.

A program sets properties by the names and types of the Python package; the plugin derives its own from the
Terraform provider. Where the two differ, a value is lost or refused, so they must agree for every token.
"""

from __future__ import annotations

import collections.abc
import importlib
import json
import re
import subprocess
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from pulumi import _types as pulumi_types

from socle.tools.tokens import package_classes, package_functions, package_sources

# What the plugin prints about one property: type, input, items, fields (see properties.go).
Property = Mapping[str, Any]
Properties = Mapping[str, Property]

SCALARS = {str: "string", bool: "boolean", int: "integer", float: "number"}


def plugin_properties(plugin: Path) -> dict[str, Any]:
    """What a built plugin prints of itself: version, Terraform names, and the properties of every token."""
    printed = subprocess.run([plugin, "--properties"], capture_output=True, check=True, timeout=60).stdout
    return dict(json.loads(printed))


def differences(printed: Mapping[str, Any]) -> list[str]:
    """All disagreements between a plugin and the installed package, one line each; empty when there are none.

    Args:
        printed: as given by ``plugin_properties``.
    """
    return [
        *_resource_differences(printed["resources"]),
        *_function_differences(printed["functions"]),
        *_configuration_differences(printed["configuration"]),
    ]


def _resource_differences(resources: Mapping[str, Properties]) -> Iterator[str]:
    for token, (module_name, class_name) in sorted(package_classes().items()):
        if token not in resources:
            yield f"{token}: the plugin does not know it"
            continue
        resource = getattr(importlib.import_module(module_name), class_name)
        module = importlib.import_module(resource.__module__)
        inputs = pulumi_types.input_type_types(getattr(module, f"{class_name}Args"))
        yield from _compare(f"{token} inputs", inputs, _inputs(resources[token]))
        yield from _compare(f"{token} outputs", pulumi_types.resource_types(resource), resources[token])


def _function_differences(functions: Mapping[str, Properties]) -> Iterator[str]:
    sources = package_sources()
    for token in sorted(package_functions()):
        if token not in functions:
            yield f"{token}: the plugin does not know it"
            continue
        file = next(file for file, source in sources.items() if f"'{token}'" in source)
        call = sources[file].split(f"invoke('{token}'")[0]
        arguments = set(re.findall(r"__args__\['(\w+)'\]", call))
        yield from _missing(f"{token} arguments", arguments, set(_inputs(functions[token])))
        yield from _compare(f"{token} result", _result_types(file), functions[token])


def _configuration_differences(configuration: Properties) -> Iterator[str]:
    provider = importlib.import_module("pulumi_openstack.provider")
    names = pulumi_types.input_type_types(provider.ProviderArgs)
    yield from _compare("provider", names, configuration)


def _result_types(file: Path) -> dict[str, Any]:
    """Types of a data source's result, from the class ``Get…Result`` of its module."""
    module = _module_of(file)
    results = [name for name in vars(module) if re.fullmatch(r"(Get|Workflow)\w+Result", name)]
    return pulumi_types.output_type_types(getattr(module, results[0]))


def _module_of(file: Path) -> ModuleType:
    parts = file.with_suffix("").parts
    return importlib.import_module(".".join(parts[parts.index("pulumi_openstack") :]))


def _compare(where: str, expected: Mapping[str, Any], found: Properties) -> Iterator[str]:
    """Differences of two sets of properties, into the nested ones."""
    expected = {name: kind for name, kind in expected.items() if name != "id"}
    found = {name: kind for name, kind in found.items() if name != "id"}
    yield from _missing(where, set(expected), set(found))
    for name in sorted(expected.keys() & found.keys()):
        yield from _compare_type(f"{where} {name}", _plain(expected[name]), found[name])


def _missing(where: str, expected: set[str], found: set[str]) -> Iterator[str]:
    for name in sorted(expected - found):
        yield f"{where}: the plugin has no {name}"
    for name in sorted(found - expected):
        yield f"{where}: only the plugin has {name}"


def _compare_type(where: str, expected: Any, found: Property) -> Iterator[str]:
    kind = _kind(expected)
    if "any" in (kind, found["type"]):
        return
    if kind != found["type"]:
        yield f"{where}: the package has {kind}, the plugin {found['type']}"
    elif kind in ("array", "map"):
        yield from _compare_type(where, _plain(typing.get_args(expected)[-1]), found["items"])
    elif kind == "object":
        yield from _compare(where, _fields(expected), found["fields"])


def _kind(annotation: Any) -> str:
    origin = typing.get_origin(annotation)
    if origin is not None and issubclass(origin, collections.abc.Mapping):
        return "map"
    if origin is not None and issubclass(origin, collections.abc.Sequence):
        return "array"
    return "any" if annotation is Any else SCALARS.get(annotation, "object")


def _plain(annotation: Any) -> Any:
    """The type itself, out of ``Union[T, Awaitable[T], Output[T]]`` and ``Optional[T]``."""
    if typing.get_origin(annotation) is typing.Union:
        return _plain(typing.get_args(annotation)[0])
    return annotation


def _fields(annotation: Any) -> dict[str, Any]:
    if pulumi_types.is_input_type(annotation):
        return pulumi_types.input_type_types(annotation)
    return pulumi_types.output_type_types(annotation)


def _inputs(properties: Properties) -> dict[str, Property]:
    return {name: kind for name, kind in properties.items() if kind["input"]}
