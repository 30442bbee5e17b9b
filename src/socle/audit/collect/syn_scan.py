"""Send a SYN to ports and tell which answer: on a node or on this machine, so only the standard library.

Arguments: source address, mark of the packets (a number; 0 for none), seconds to wait for late answers.
Standard input: a JSON object, target address to list of ports. Standard output: a JSON object, target to the
ports that answered, were it by a refusal (RST): both prove that the packet came through. Standard error: how
many packets the source's own firewall kept, if any: of their ports nothing is known.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
import time

SOURCE_PORT = 50123
SYN, SYN_ACK, RST = 0x02, 0x12, 0x04
BATCH = 64
BREATH = 0.002


def main() -> None:
    """Scan as the arguments and the standard input say."""
    source, mark, patience = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    wanted = json.load(sys.stdin)
    answered: dict[str, set[int]] = {target: set() for target in wanted}
    heard, wire = raw(source), raw(source)
    heard.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    heard.settimeout(0.2)
    if mark:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
    done = threading.Event()
    listener = threading.Thread(target=listen, args=(heard, answered, done), daemon=True)
    listener.start()
    kept = sum(send(wire, source, target, ports) for target, ports in wanted.items())
    time.sleep(patience)
    done.set()
    listener.join()
    json.dump({target: sorted(ports) for target, ports in answered.items()}, sys.stdout)
    if kept:
        sys.stderr.write(f"{kept}\n")


def raw(source: str) -> socket.socket:
    """A socket for whole TCP headers from one address."""
    made = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    made.bind((source, 0))
    return made


def send(wire: socket.socket, source: str, target: str, ports: list[int]) -> int:
    """One SYN to each port, with breaths in between; how many did not leave."""
    kept = 0
    for number, port in enumerate(ports):
        try:
            wire.sendto(syn(source, target, port), (target, 0))
        except PermissionError:
            kept += 1
        if number % BATCH == 0:
            time.sleep(BREATH)
    return kept


def syn(source: str, target: str, port: int) -> bytes:
    """A TCP header with nothing but SYN (RFC 9293)."""
    bare = struct.pack("!HHIIBBHHH", SOURCE_PORT, port, port, 0, 5 << 4, SYN, 1024, 0, 0)
    pseudo = socket.inet_aton(source) + socket.inet_aton(target) + struct.pack("!BBH", 0, 6, len(bare))
    total = sum(struct.unpack(f"!{(len(pseudo) + len(bare)) // 2}H", pseudo + bare))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return bare[:16] + struct.pack("!H", ~total & 0xFFFF) + bare[18:]


def listen(wire: socket.socket, answered: dict[str, set[int]], done: threading.Event) -> None:
    """Note which ports answer, until it is over."""
    while not done.is_set():
        try:
            packet = wire.recv(256)
        except TimeoutError:
            continue
        sender = socket.inet_ntoa(packet[12:16])
        header = packet[(packet[0] & 0x0F) * 4 :]
        port, to, _, acknowledged, _, flags = struct.unpack("!HHIIBB", header[:14])
        # Only an answer to our own packet acknowledges its number, which was the port.
        if sender in answered and to == SOURCE_PORT and acknowledged == port + 1 and flags & (SYN_ACK | RST):
            answered[sender].add(port)


if __name__ == "__main__":
    main()
