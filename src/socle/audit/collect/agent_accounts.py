"""Who may come in and do what: accounts, passwords by their scheme only, keys, sudo, PAM, the SSH server."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from socle.audit.collect.agent import Questions, Unread, output, raw_output, section, text

NO_SHELL = ("/usr/sbin/nologin", "/sbin/nologin", "/bin/false", "/usr/bin/false", "/bin/sync")
SCHEMES = {
    "y": "yescrypt", "gy": "gost-yescrypt", "7": "scrypt", "2b": "bcrypt", "2y": "bcrypt", "2a": "bcrypt",
    "6": "sha512", "5": "sha256", "1": "md5", "sha1": "sha1",
}  # fmt: skip
LETTERS = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
KEY_FILES = (
    "authorized_keys", "authorized_keys2", ".rhosts", ".shosts", "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519",
)  # fmt: skip
SSH_SETTINGS = "/etc/ssh/sshd_config"
SECRET_PLACES = ("/etc", "/var/lib/openbao", "/root", "/home")
KEY_PLACES = ("/home", "/root", "/etc/ssh", "/var/lib", "/srv", "/opt")


@section("accounts")
def accounts(_questions: Questions) -> dict[str, Any]:
    """Every account that could be logged in to or has a password, and how many there are in all.

    ``groups`` counts the primary group where it is not the account's own one, ``twice`` are names that stand
    more than once in a file: programs take the first line of a name.
    """
    files = {
        path: [line.split(":") for line in text(path).splitlines() if line]
        for path in ("/etc/passwd", "/etc/shadow", "/etc/group")
    }
    shadow: dict[str, list[str]] = {}
    for line in files["/etc/shadow"]:
        shadow.setdefault(line[0], line)
    found = []
    for name, field, uid, gid, _gecos, home, shell in files["/etc/passwd"]:
        entry = shadow.get(name, [name, "", *[""] * 7])
        secret = password(entry[1] if field == "x" else field)
        told = {
            "name": name,
            "uid": int(uid),
            "gid": int(gid),
            "home": home,
            "login": shell not in NO_SHELL,
            "groups": _groups(files["/etc/group"], name, gid),
            **secret,
            "max_days": _number(entry[4]),
        }
        if (
            told["login"]
            or int(uid) in {0, *range(1000, 60000)}
            or secret["password"] not in {"none", "locked"}
        ):
            found.append(told)
    return {
        "accounts": sorted(found, key=lambda one: one["name"]),
        "count": len(files["/etc/passwd"]),
        "twice": [f"{path} {name}" for path, lines in files.items() for name in _twice(lines)],
    }


def _twice(lines: list[list[str]]) -> list[str]:
    names = [line[0] for line in lines]
    return sorted({name for name in names if names.count(name) > 1})


def _groups(lines: list[list[str]], account: str, primary: str) -> list[str]:
    """Every name of the groups of an account, its own one left out; a group without a name is its number."""
    numbers = {gid for _name, _secret, gid, members in lines if account in members.split(",")}
    named = {name for name, _secret, gid, _members in lines if gid in numbers}
    first = {name for name, _secret, gid, _members in lines if gid == primary} or {primary}
    return sorted(named | (first - {account}))


def password(field: str) -> dict[str, Any]:
    """What the second field of shadow(5) is, without a character of its hash.

    ``password`` is ``none`` (no hash could match), ``locked``, ``set`` or ``empty`` (opens without one).
    """
    if field == "":
        return {"password": "empty"}
    bare = field.lstrip("!")
    if bare in {"", "*", "x"}:
        return {"password": "none"}
    found: dict[str, Any] = {"password": "locked" if field.startswith("!") else "set", "scheme": "des"}
    parts = bare.split("$")
    if len(parts) >= 4 and parts[0] == "":  # noqa: PLR2004 - $scheme$parameters or salt$…
        found["scheme"] = SCHEMES.get(parts[1], parts[1])
        found["salt_bits"], found["cost"] = _salt_and_cost(found["scheme"], parts)
    return found


def _salt_and_cost(scheme: str, parts: list[str]) -> tuple[int, int | None]:
    """By crypt(5): bits of the salt (six for a character), and the cost as its own tool counts it."""
    if scheme in {"yescrypt", "gost-yescrypt"}:
        # The second letter is the logarithm of N, less one; a cost of 5 is N = 2^12 blocks of 4 KiB.
        return len(parts[3]) * 6, LETTERS.index(parts[2][1]) + 1 - 7
    if scheme == "bcrypt":
        return 128, int(parts[2])
    if scheme == "scrypt":
        return max(len(parts[2]) - 11, 0) * 6, LETTERS.index(parts[2][0])
    rounds = re.match(r"rounds=(\d+)$", parts[2])
    return len(parts[3] if rounds else parts[2]) * 6, int(rounds[1]) if rounds else None


def _number(field: str) -> int | None:
    return int(field) if field else None


@section("keys")
def keys(_questions: Questions) -> list[dict[str, Any]]:
    """Files of keys that could open a session, or that a stolen disk would give away."""
    asked = " -o ".join(f"-name {name}" for name in KEY_FILES).split()
    places = [place for place in KEY_PLACES if Path(place).is_dir()]
    lines = _files(places, ["(", *asked, ")"], "%u\\t%m\\t%s")
    return sorted(
        (
            {"path": _shown(path), "owner": owner, "mode": mode.rjust(4, "0"), "empty": size == "0"}
            for owner, mode, size, path in lines
        ),
        key=lambda one: one["path"],
    )


def _files(places: Sequence[str], asked: Sequence[str], told: str) -> list[list[str]]:
    """What ``find`` tells of files, and their paths, which may hold any byte but the null."""
    said = raw_output("find", *places, "-xdev", "-type", "f", *asked, "-printf", f"{told}\\t%p\\0")
    return [line.split("\t", told.count("\\t") + 1) for line in os.fsdecode(said).split("\0") if line]


def _shown(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "replace")


@section("sudo")
def sudo(_questions: Questions) -> dict[str, Any]:
    """The rights of sudo as sudo itself reads them: who may run what, without comments and aliases."""
    read = json.loads(output("cvtsudoers", "--expand-aliases", "--output-format", "json", "/etc/sudoers"))
    rights: dict[str, set[str]] = {}
    for entry in read.get("User_Specs", []):
        commands = [
            ("!" if command.get("negated") else "") + command.get("command", "?")
            for spec in entry["Cmnd_Specs"]
            for command in spec["Commands"]
        ]
        for user in entry["User_List"]:
            rights.setdefault(_whom(user), set()).update(commands)
    defaults = {
        name: value
        for entry in read.get("Defaults", [])
        if "Binding" not in entry
        for option in entry["Options"]
        for name, value in option.items()
    }
    return {"rights": {who: sorted(rights[who]) for who in sorted(rights)}, "defaults": defaults}


def _whom(user: dict[str, Any]) -> str:
    return str(user.get("username") or f"%{user.get('usergroup') or user.get('nonunixgroup') or '?'}")


@section("pam")
def pam(_questions: Questions) -> dict[str, Any]:
    """Lockout, the hash of new passwords, and their quality where a console takes them."""
    quality = Path("/etc/security/pwquality.conf")
    return {
        "faillock": _settings(text("/etc/security/faillock.conf"), "="),
        "login_defs": {
            name: value
            for name, value in _settings(text("/etc/login.defs"), None).items()
            if name.startswith(("PASS_", "ENCRYPT", "YESCRYPT", "UMASK", "LOGIN_"))
        },
        "auth": _stack("/etc/pam.d/common-auth"),
        "account": _stack("/etc/pam.d/common-account"),
        "password": _stack("/etc/pam.d/common-password"),
        "quality": _settings(text(str(quality)), "=") if quality.is_file() else None,
    }


def _settings(body: str, glue: str | None) -> dict[str, str]:
    lines = (line.split("#", 1)[0].strip() for line in body.splitlines())
    pairs = (line.split(glue, 1) for line in lines if line)
    return {pair[0].strip(): pair[1].strip() if len(pair) > 1 else "" for pair in pairs}


def _stack(path: str) -> list[str]:
    lines = (" ".join(line.split("#", 1)[0].split()) for line in text(path).splitlines())
    return [line for line in lines if line]


@section("sshd")
def sshd(_questions: Questions) -> dict[str, Any]:
    """The settings of the SSH server as it reads them itself; values of one name are joined by blanks.

    ``matches`` are those that it reads for some connections only: each block as one line.
    """
    found: dict[str, list[str]] = {}
    for line in output("sshd", "-T").splitlines():
        name, _blank, value = line.partition(" ")
        found.setdefault(name, []).append(value.strip())
    found["hostkeys"] = sorted(_host_keys())
    told = {name: " ".join(values) for name, values in sorted(found.items())}
    return {**told, "matches": sorted(match_blocks(SSH_SETTINGS, set()))}


def match_blocks(path: str, read: set[str]) -> list[str]:
    """The blocks ``Match`` of a file of sshd_config(5) and of those that it includes, without comments."""
    if path in read:
        return []
    read.add(path)
    found: list[str] = []
    inside = False
    for raw in text(path).split("\n"):
        # Blanks, quotes and an equals sign may stand before and behind a keyword.
        line = " ".join(raw.split())
        keyword, _end, rest = re.sub(r'[\s="]+', " ", line).lstrip().partition(" ")
        if keyword.lower() == "match":
            found.append(line)
            inside = True
        elif inside and line and not line.startswith("#"):
            found[-1] += f"; {line}"
        if keyword.lower() == "include":
            for one in rest.split():
                for each in sorted(Path("/").glob(str(Path(path).parent / one).lstrip("/"))):
                    found[len(found) - inside : len(found) - inside] = match_blocks(str(each), read)
    return found


def _host_keys() -> list[str]:
    """Type and size of each host key that lies there."""
    found = []
    for path in Path("/etc/ssh").glob("ssh_host_*_key.pub"):
        size, *_rest, kind = output("ssh-keygen", "-l", "-f", str(path)).split()
        found.append(f"{kind.strip('()').lower()}:{size}")
    return found


@section("secret_files")
def secret_files(_questions: Questions) -> list[dict[str, str]]:
    """Files that hold a secret, by their name or by the names of their settings, and who may read them."""
    places = [place for place in SECRET_PLACES if Path(place).is_dir()]
    found = _files(places, ["-size", "-256k"], "%m\\t%u\\t%g") if places else []
    return [
        {"path": _shown(path), "mode": mode.rjust(4, "0"), "owner": owner, "group": group}
        for mode, owner, group, path in sorted(found, key=lambda one: one[-1])
        if _secret(path)
    ]


SECRET_FILE_NAME = re.compile(
    r"(\.key|\.keyring|\.p12|\.pfx|_key|/shadow-?|/gshadow-?|\.erlang\.cookie|-login\.json)$"
)
SECRET_LINE = re.compile(
    rb"^[ \t]*[\w.-]*(?:password|passwd|secret)[ \t]*[=:][ \t]*[\"']?[^\s\"'#;<$/{]{8,}[\"']?[ \t]*$",
    re.MULTILINE | re.IGNORECASE,
)
PRIVATE = b"PRIVATE KEY-----"
CREDENTIAL_IN_URL = re.compile(rb"^[^#;\n]*://[^\s/:@]+:[^\s/@]{6,}@", re.MULTILINE)


def _secret(path: str) -> bool:
    if SECRET_FILE_NAME.search(path):
        return True
    try:
        body = Path(path).read_bytes()
    except OSError as error:
        if not os.path.lexists(path):
            return False
        raise Unread(f"{_shown(path)} : {error.strerror}") from error
    if b"\0" in body[:1024]:
        return False
    return PRIVATE in body or bool(SECRET_LINE.search(body) or CREDENTIAL_IN_URL.search(body))
