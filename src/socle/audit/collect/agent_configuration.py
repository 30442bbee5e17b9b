"""Configuration files as options by name, with secrets left out: the same on a host and before a deployment.

Standard library only: a host gets this file as part of the agent. A file's form is known by its path; an
option is called ``section.option`` where its file has sections. A value that holds a secret reads
``‹secret›``, whole or where it stands in an address.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

MASK = "‹secret›"
type Options = dict[str, Any]

SECRET_NAME = re.compile(
    r"(^|[._-])(password|passwd|passphrase|pass|secret|token|key|cookie|kek|auth|uuid|fsid|community)$"
    r"|(connection|transport_url|backend_url|database_url|sst_auth|auth_pass|secret_key|secret_id|role_id)$",
    re.IGNORECASE,
)
"""Names of options whose value is a secret, unless it is plainly none (``_PLAIN``)."""
_PLAIN = re.compile(
    r"/[^\s:@]*|true|false|yes|no|on|off|none|never|\d{1,6}|((ssl|tcp|unix):[\w.:/\[\]-]+,?)*",
    re.IGNORECASE,
)
_LOGIN = re.compile(r"(?<=://)[^\s/@]+:[^\s/@]*@|(?<=,)[^\s/@,]+:[^\s/@]*@")
_ADDRESS = re.compile(r"[a-z+]+://")
_AUTH = re.compile(r"^(auth|password)\s+\S.*$")


def without_secrets(name: str, value: Any) -> Any:
    """A value, or what of it is no secret: ``name`` is the option's, lists and mappings are gone through."""
    if isinstance(value, dict):
        return {str(key): without_secrets(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(name, item) for item in value]
    if not isinstance(value, str):
        return value
    bare = _LOGIN.sub(f"{MASK}@", value)
    if not SECRET_NAME.search(name):
        return _AUTH.sub(MASK, bare)
    if _PLAIN.fullmatch(value) or (bare != value and _ADDRESS.match(bare)):
        return bare
    return MASK


def _lines(text: str, comments: str = "#;") -> Iterator[str]:
    for line in text.splitlines():
        if line.strip() and line.lstrip()[0] not in comments:
            yield line.rstrip()


def _add(options: Options, name: str, value: Any) -> None:
    """A second value of a name makes a list of them, in their order."""
    if name not in options:
        options[name] = value
    elif isinstance(options[name], list):
        options[name].append(value)
    else:
        options[name] = [options[name], value]


def ini(text: str) -> Options:
    """Sections of ``option = value``; a line that begins with a blank goes on with the one before."""
    options: Options = {}
    section, last = "", None
    for line in _lines(text):
        found = re.fullmatch(r"\[(.+)\]", line.strip())
        if found:
            section, last = found[1], None
        elif line[0] in " \t" and last and isinstance(options[last], str):
            options[last] = f"{options[last]} {line.strip()}"
        else:
            name, _separator, value = _cut(line)
            last = f"{section}.{name}" if section else name
            _add(options, last, value)
    return options


def _cut(line: str) -> tuple[str, str, Any]:
    found = re.match(r"\s*([^=:]*?)\s*([=:])\s*(.*)$", line)
    if not found:
        return line.strip(), "", True
    return found[1], found[2], found[3].strip()


def database(text: str) -> Options:
    """MariaDB's form of it, where ``-`` and ``_`` in names are the same."""
    return {name.replace("-", "_"): value for name, value in ini(text).items()}


def pairs(text: str) -> Options:
    """``name = value`` without sections; quoted texts and lists as libvirt writes them."""
    options: Options = {}
    for line in _lines(text, "#"):
        name, _equals, value = line.partition("=")
        _add(options, name.strip(), _unquoted(value.strip()))
    return options


def _unquoted(value: str) -> Any:
    if value[:1] in {'"', "["}:
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def words(text: str) -> Options:
    """The first word of a line is the name, the rest its value."""
    options: Options = {}
    for line in _lines(text, "#"):
        name, _blank, value = line.strip().partition(" ")
        _add(options, name, value.strip() or True)
    return options


def proxy(text: str) -> Options:
    """HAProxy's sections, which begin where a line does: ``listen nova.bind``."""
    options: Options = {}
    section = ""
    for line in _lines(text, "#"):
        if line[0] not in " \t":
            section = " ".join(line.split())
            options[section] = True
            continue
        name, _blank, value = line.strip().partition(" ")
        _add(options, f"{section}.{name}", value.strip() or True)
    return options


def apache(text: str) -> Options:
    """Apache's directives, inside of sections by the names of these: ``VirtualHost *:1.Alias``."""
    options: Options = {}
    within: list[str] = []
    for line in _lines(text, "#"):
        stripped = line.strip()
        if stripped.startswith("</"):
            within.pop()
        elif stripped.startswith("<"):
            within.append(stripped.strip("<>"))
        else:
            name, _blank, value = stripped.partition(" ")
            _add(options, ".".join([*within, name]), value.strip() or True)
    return options


def blocks(text: str) -> Options:
    """OpenBao's form (HCL): ``listener "tcp" {`` holds ``address = "…"``, called ``listener.tcp.address``."""
    options: Options = {}
    within: list[str] = []
    for line in _lines(text, "#"):
        stripped = line.strip()
        if stripped.endswith("{"):
            within.append(".".join(re.findall(r"[\w-]+", stripped)))
        elif stripped == "}":
            within.pop()
        else:
            name, _equals, value = stripped.partition("=")
            _add(options, ".".join([*within, name.strip()]), _unquoted(value.strip()))
    return options


def settings(text: str) -> Options:
    """The settings of a Django program: names that are given plain data."""
    options: Options = {}
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.Assign) and (name := _setting(statement.targets[0])):
            try:
                options[name] = ast.literal_eval(statement.value)
            except ValueError:
                continue
    return options


def _setting(target: ast.expr) -> str | None:
    """``NAME`` or, of a setting that is a mapping, ``NAME["key"]`` as ``NAME.key``."""
    if isinstance(target, ast.Name):
        return target.id
    if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
        key = target.slice.value if isinstance(target.slice, ast.Constant) else None
        return f"{target.value.id}.{key}" if isinstance(key, str) else None
    return None


def policy(text: str) -> Options:
    """Rules of oslo.policy, one a line.

    Raises:
        ValueError: a line is no ``"name": "rule"``.
    """
    options: Options = {}
    for line in _lines(text, "#"):
        found = re.fullmatch(r"""\s*(["']?)(.+?)\1\s*:\s*(["'])(.*)\3\s*""", line)
        if not found:
            raise ValueError("not one rule a line")
        options[found[2]] = found[4]
    return options


FORMS: tuple[tuple[str, Callable[[str], Options]], ...] = (
    (r"/etc/(keystone|nova|neutron|cinder|glance|placement|barbican)/.*\.(conf|ini)", ini),
    (r"/etc/[a-z]+/policy\.yaml", policy),
    (r"/etc/mysql/.*\.cnf", database),
    (r"/etc/rabbitmq/rabbitmq\.conf", pairs),
    (r"/etc/memcached\.conf", words),
    (r"/etc/haproxy/haproxy\.cfg", proxy),
    (r"/etc/openstack-dashboard/.*\.py", settings),
    (r"/etc/apache2/.*\.conf", apache),
    (r"/etc/ceph/ceph\.conf", ini),
    (r"/etc/libvirt/(libvirtd|qemu)\.conf", pairs),
    (r"/etc/openbao/.*\.hcl", blocks),
    (r"/etc/default/[a-z-]+", pairs),
    (r"/etc/systemd/.*\.(conf|service|socket|timer|network|link)", ini),
    (r"/etc/chrony/chrony\.conf", words),
)
"""Paths of files whose form is known."""


def form_of(path: str) -> Callable[[str], Options] | None:
    """How a file is read; None when its form is not known."""
    return next((form for pattern, form in FORMS if re.fullmatch(pattern, path)), None)


def options_of(path: str, text: str) -> Options | None:
    """The options of a file without its secrets; None when its form is not known.

    Raises:
        ValueError: it is not of the form that its path promises.
    """
    form = form_of(path)
    if form is None:
        return None
    try:
        read = form(text)
    except (SyntaxError, IndexError) as error:
        raise ValueError(f"{path}: {error}") from error
    return {name: without_secrets(name, value) for name, value in sorted(read.items())}
