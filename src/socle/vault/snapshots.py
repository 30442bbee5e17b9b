"""Copies of OpenBao's storage, and a fresh OpenBao made from one.

What is in a copy is encrypted by the keys that the seal protects: it is of no use without the custodians who
held the shares when it was taken.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import tarfile
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from socle import durable
from socle.errors import ExitCode, SocleError
from socle.vault import configuration, generated, remote
from socle.vault.api import client, plainly
from socle.vault.ceremony import PENDING, RESTORING
from socle.vault.custody import Shares
from socle.vault.login import token_of
from socle.vault.place import Place, VaultNode
from socle.vault.seal import active_node, reasons, status, unseal, wait
from socle.vault.trust import unreachable

SUMS = "SHA256SUMS"
COPIES = "snapshots"
"""In the folder of a place: the copies that deployments and daily audits take."""
KEPT = 30
DUE = timedelta(hours=20)
"""How old the last copy may be before a deployment takes another one."""
OWED = "snapshot-owed"
"""In the folder of a place: OpenBao got secrets that no copy holds."""
NAMED = "%Y%m%dT%H%M%SZ"
TAKEN = "snapshot.json"
"""In the folder of a place: when the last copy was taken, its size and its hash."""


def take(place: Place, file: Path) -> int:
    """Write a copy of the storage as it is now to a file; its size in bytes.

    Raises:
        SocleError: OpenBao is sealed or does not answer, the copy is not whole, the file cannot be written.
    """
    with plainly(place):
        speaker = client(place, active_node(place), token_of(place, "snapshot"))
        content: bytes = speaker.sys.take_raft_snapshot().content
    check(content, "OpenBao's answer")
    durable.write_bytes(file, content)
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    known = {
        "time": moment,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        **dataclasses.asdict(sealed(content)),
    }
    durable.write_json(place.folder / TAKEN, known)
    return len(content)


@dataclasses.dataclass(frozen=True)
class Sealed:
    """What is in a copy.

    Args:
        entries: how many.
        in_clear: the keys of those that are neither encrypted by the barrier nor ``UNSEALED``.
    """

    entries: int
    in_clear: tuple[str, ...]


UNSEALED: Final = frozenset(
    {
        "core/hsm/barrier-unseal-keys",
        "core/initialize-lock",
        "core/lock",
        "core/recovery-config",
        "core/recovery-key",
        "core/seal-config",
        "core/shamir-kek",
    }
)
"""What the barrier does not encrypt: names of locks, kind of the seal, keys that the seal encrypts."""
BARRIER_BYTES: Final = 4 + 1 + 12 + 16
"""Term, version, nonce and tag around each value (AES-256-GCM; `vault/barrier_aes_gcm.go` of OpenBao)."""


def sealed(content: bytes) -> Sealed:
    """Look at each entry of a whole copy: is its value the barrier's cipher text?

    Raises:
        SocleError: the storage in it is not of the form that is known.
    """
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        file = archive.extractfile("state.bin")
        state = file.read() if file else b""
    try:
        entries = list(_entries(state))
    except (IndexError, KeyError, ValueError) as error:
        raise _damaged("OpenBao's answer") from error
    clear = sorted(
        key
        for key, value in entries
        if key not in UNSEALED
        and not (len(value) >= BARRIER_BYTES and value[:4] != bytes(4) and value[:2] == bytes(2)
                 and value[4] in {1, 2})
    )  # fmt: skip
    return Sealed(len(entries), tuple(clear))


def _entries(state: bytes) -> Iterator[tuple[str, bytes]]:
    """Keys and values: messages of Protocol Buffers with their length before them, key and value as bytes."""
    place = 0
    while place < len(state):
        length, place = _number(state, place)
        end, fields = place + length, {}
        if end > len(state):
            raise ValueError("cut off")
        while place < end:
            tag, place = _number(state, place)
            size, place = _number(state, place)
            if tag & 7 == 2:  # noqa: PLR2004 - bytes with their length; anything else is a number
                fields[tag >> 3] = state[place : place + size]
                place += size
        yield fields[1].decode("utf-8", "replace"), fields.get(2, b"")


def _number(state: bytes, place: int) -> tuple[int, int]:
    """A number of variable length, and where the next byte is."""
    value = shift = 0
    while True:
        byte = state[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if not byte & 0x80:
            return value, place


def owe(place: Place) -> None:
    """Make a copy due: whatever happens to this run, the next one that keeps copies takes it."""
    durable.write(place.folder / OWED, "")


def keep(place: Place, now: datetime) -> Path | None:
    """Take the copy of the day beside the site's state when one is owed or the last is older than ``DUE``.

    The newest one of each of the newest ``KEPT`` days stays. They are of use on another machine too: copy the
    folder there.

    Returns:
        The copy, or None when none was due.

    Raises:
        SocleError: as ``take``.
    """
    folder = place.folder / COPIES
    folder.mkdir(mode=0o700, exist_ok=True)
    copies = sorted(folder.glob("*.snap"))
    owed = place.folder / OWED
    if copies and not owed.exists() and now - _moment(copies[-1]) < DUE:
        return None
    file = folder / f"{now:{NAMED}}.snap"
    take(place, file)
    durable.remove(owed)
    of_days = {path.name.partition("T")[0]: path for path in [*copies, file]}
    stay = list(of_days.values())[-KEPT:]
    for old in copies:
        if old not in stay:
            durable.remove(old)
    return file


def _moment(copy: Path) -> datetime:
    try:
        return datetime.strptime(copy.stem, NAMED).replace(tzinfo=UTC)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)  # another one's file


def check(content: bytes, where: str) -> None:
    """See that a copy is whole: every part has the hash that stands beside it.

    Raises:
        SocleError: it is cut off, changed or something else.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            parts = {m.name: file.read() for m in archive if (file := archive.extractfile(m)) is not None}
        sums = [line.split() for line in parts.get(SUMS, b"").decode("ascii", "replace").splitlines()]
        right = [hashlib.sha256(parts.get(name, b"")).hexdigest() == known for known, name in sums]
    except (tarfile.TarError, EOFError, OSError, ValueError, zlib.error) as error:
        raise _damaged(where) from error
    if not {"meta.json", "state.bin"} <= {name for _sum, name in sums} or not all(right):
        raise _damaged(where)


def _damaged(where: str) -> SocleError:
    return SocleError("is no whole snapshot of OpenBao", where=where, write="take another one")


def restore(place: Place, file: Path, shares: Shares | None, tell: Callable[[str], None]) -> None:
    """Make a fresh OpenBao what a copy says.

    Only onto nodes that are not initialised: nothing is ever overwritten. The first node is opened by a key
    that only this process knows, until the copy has taken its place. Killed in between, the next call begins
    again. What this machine remembers of a newer OpenBao is forgotten: the next ``configure`` brings people,
    policies and this machine's login to what the site's files say, ``ensure_secrets`` what is missing.

    Args:
        shares: of the custodians at the time of the copy.

    Raises:
        SocleError: the file is damaged, OpenBao is not empty, or the shares are not those of the copy.
    """
    content = _read(file)
    pending = place.folder / RESTORING
    states = status(place)
    if not all(s.reachable for s in states):
        raise unreachable(place, reasons(states))
    if any(s.initialised for s in states):
        if not pending.exists():
            raise SocleError(
                "OpenBao is not empty",
                where=", ".join(s.node.name for s in states if s.initialised),
                expected="nodes that nobody initialised",
                write="see docs/operator/lost-node.md",
            )
        _empty(place, place.nodes)
    durable.write(pending, datetime.now(UTC).isoformat() + "\n")
    first = place.nodes[0]
    with plainly(place):
        _replace_storage(place, first, content)
    _empty(place, place.nodes[1:])
    for name in (PENDING, configuration.MARKER, generated.MARKER):
        durable.remove(place.folder / name)
    durable.remove(pending)
    tell(f"{first.name} holds what the snapshot holds; its custodians open it")
    unseal(place, shares)


def _read(file: Path) -> bytes:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise SocleError(
            f"cannot be read: {error.strerror}", where=str(file), exit_code=ExitCode.USAGE
        ) from error
    check(content, str(file))
    return content


def _replace_storage(place: Place, node: VaultNode, content: bytes) -> None:
    speaker = client(place, node)
    kind = "recovery" if place.recovers else "secret"
    answer = speaker.adapter.put("/v1/sys/init", json={f"{kind}_shares": 1, f"{kind}_threshold": 1})
    if place.seal == "shamir":
        speaker.sys.submit_unseal_key(answer["keys_base64"][0])
    states = wait(place, lambda now: any(s.active for s in now if s.node == node))
    own = {s.cluster_id for s in states}
    speaker.token = answer["root_token"]
    speaker.sys.force_restore_raft_snapshot(content)
    # OpenBao answers before it has replaced anything.
    wait(place, lambda now: all(s.sealed or s.cluster_id not in own for s in now if s.node == node))
    # It remembers how many shares the process's own key had until it starts anew.
    remote.restart(place, node)
    wait(place, lambda now: all(s.reachable and s.initialised for s in now if s.node == node))


def _empty(place: Place, nodes: tuple[VaultNode, ...]) -> None:
    """Nodes that joined the OpenBao of the process's own key have to join the restored one."""
    for node in nodes:
        remote.reset(place, node)
    wait(place, lambda states: all(s.reachable and not s.initialised for s in states if s.node in nodes))
