"""What passes on the cables of the lab's nodes: packets, conversations, and how each of them begins."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType

ETH_P_ALL = 3
IPV4, ARP, IPV6 = 0x0800, 0x0806, 0x86DD
TCP, UDP = 6, 17
SYN, ACK = 0x02, 0x10
LONGEST = 65536
RECEIVE_BUFFER = 1 << 27
FIRST_WORDS = 4
SSL_REQUEST = 0x0800
"""Capability flag of MariaDB's client that asks for TLS before it says who it is."""


@dataclass(frozen=True)
class Packet:
    """One IPv4 packet on the cable of one node."""

    cable: str
    source: str
    destination: str
    protocol: int
    body: bytes
    """What follows the IP header."""


@dataclass
class Conversation:
    """A TCP connection that began while the capture ran; what each side said first."""

    cable: str
    caller: str
    called: str
    port: int
    asked: list[bytes] = field(default_factory=list)
    answered: list[bytes] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """How it protects what it says; ``clear`` when it does not, ``silent`` when nothing was said."""
        asked, answered = b"".join(self.asked), b"".join(self.answered)
        if not asked and not answered:
            return "silent"
        begins = {b"\x16\x03": "tls", b"SSH-2.0": "ssh", b"ceph v2\n": "msgr2"}
        for words, kind in begins.items():
            if asked.startswith(words):
                return kind
        if answered[4:5] == b"\x0a" and asked[:4] == b"\x20\x00\x00\x01":
            return "mariadb+tls" if struct.unpack("<I", asked[4:8])[0] & SSL_REQUEST else "clear"
        vencrypt = answered.startswith(b"RFB 003.008\n") and asked[12:13] == b"\x13"
        return "vencrypt" if vencrypt else "clear"


class Capture:
    """Everything that passes on some cables while the block runs."""

    def __init__(self, cables: Iterable[str]) -> None:
        self.cables = set(cables)
        self.frames: list[tuple[str, bytes]] = []
        self.lost = 0
        self._stop = threading.Event()
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, 33, RECEIVE_BUFFER)  # SO_RCVBUFFORCE
        self._socket.settimeout(0.2)
        self._thread = threading.Thread(target=self._listen)

    def __enter__(self) -> Capture:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        counted = self._socket.getsockopt(263, 6, 8)  # SOL_PACKET, PACKET_STATISTICS
        self.lost = struct.unpack("II", counted)[1]
        self._socket.close()

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                frame, (cable, *_rest) = self._socket.recvfrom(LONGEST)
            except TimeoutError:
                continue
            if cable in self.cables:
                self.frames.append((cable, frame))

    def packets(self) -> Iterator[Packet]:
        """All IPv4 packets."""
        for cable, frame in self.frames:
            if struct.unpack("!H", frame[12:14])[0] == IPV4:
                ip = frame[14:]
                size = struct.unpack("!H", ip[2:4])[0] or len(ip)
                yield Packet(
                    cable,
                    socket.inet_ntoa(ip[12:16]),
                    socket.inet_ntoa(ip[16:20]),
                    ip[9],
                    ip[(ip[0] & 0x0F) * 4 : size],
                )

    def other_kinds(self) -> set[int]:
        """Kinds of frames that are not IPv4 (RFC 9542)."""
        return {struct.unpack("!H", frame[12:14])[0] for _cable, frame in self.frames} - {IPV4}

    def conversations(self) -> list[Conversation]:
        """TCP connections whose beginning was seen."""
        known: dict[tuple[str, str, int, int], Conversation] = {}
        seen: set[tuple[str, str, int, int, int]] = set()
        for packet in self.packets():
            if packet.protocol != TCP:
                continue
            here, there, number, _, offset, flags = struct.unpack("!HHIIBB", packet.body[:14])
            ends = (packet.source, packet.destination, here, there)
            if flags & (SYN | ACK) == SYN:
                known[ends] = Conversation(packet.cable, packet.source, packet.destination, there)
                continue
            said = packet.body[(offset >> 4) * 4 :]
            # The same packet passes two cables.
            if not said or (*ends, number) in seen:
                continue
            seen.add((*ends, number))
            if ends in known and len(known[ends].asked) < FIRST_WORDS:
                known[ends].asked.append(said)
            back = (packet.destination, packet.source, there, here)
            if back in known and len(known[back].answered) < FIRST_WORDS:
                known[back].answered.append(said)
        return list(known.values())
