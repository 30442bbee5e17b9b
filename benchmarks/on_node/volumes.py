"""Throughput of a plain and an encrypted image in the pool of volumes: runs on a hypervisor as root.

Reads ``{"rounds": n, "sizes": [bytes of a request]}``; prints a list of ``{"size", "write", "plain": [MiB/s],
"luks": [MiB/s]}``.
The images are made for it and removed; the passphrase is random and stands in memory only.
"""

import json
import os
import pathlib
import re
import secrets
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager

POOL, USER = "volumes", "cinder"
IMAGE_MIB = 256
TOTAL = 128 * 1024 * 1024
REQUESTS = 2048
"""At most, so that small ones end in time."""
CIPHER = "cipher-alg=aes-256,cipher-mode=xts,ivgen-alg=plain64,hash-alg=sha256,iter-time=100"


def run(*command):
    """What a program prints; its message ends the benchmark when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{command[0]} {command[1]}: {done.stderr.strip()}")
    return done.stdout


def name(kind):
    return f"socle-benchmark-{kind}"


def options(kind):
    """Of the image, as Nova opens it: librbd below, LUKS above when it is encrypted."""
    prefix = "file." if kind == "plain" else "file.file."
    place = f"{prefix}driver=rbd,{prefix}pool={POOL},{prefix}image={name(kind)},{prefix}user={USER}"
    if kind == "plain":
        return f"driver=raw,{place}"
    return f"driver=raw,file.driver=luks,file.key-secret=key,{place}"


def create(kind, *how):
    run("qemu-img", "create", "-q", *how, f"rbd:{POOL}/{name(kind)}:id={USER}", f"{IMAGE_MIB}M")


@contextmanager
def served(kind, secret):
    """Address of a socket at which QEMU serves the image; ``qemu-img bench`` takes no passphrase itself."""
    with tempfile.TemporaryDirectory() as folder:
        socket, pid = f"{folder}/nbd", f"{folder}/pid"
        command = ["qemu-nbd", "--object", secret, "--cache=none", "--persistent", "--fork"]
        run(*command, f"--socket={socket}", f"--pid-file={pid}", "--image-opts", options(kind))
        try:
            yield f"nbd+unix:///?socket={socket}"
        finally:
            os.kill(int(pathlib.Path(pid).read_text("ascii")), signal.SIGTERM)


def rate(at, size, write):
    """MiB per second."""
    count = min(TOTAL // size, REQUESTS)
    told = run(*f"qemu-img bench -f raw -d 8 -t none -c {count} -s {size}".split(), *(["-w"] * write), at)
    seconds = float(re.search(r"Run completed in ([\d.]+) seconds", told)[1])
    return count * size / seconds / 1048576


def main():
    """Make both, fill them, measure in turn, remove them."""
    asked = json.load(sys.stdin)
    with tempfile.NamedTemporaryFile("w", dir="/dev/shm") as key:
        key.write(secrets.token_urlsafe(32))
        key.flush()
        secret = f"secret,id=key,file={key.name}"
        try:
            create("plain", "-f", "raw")
            create("luks", "--object", secret, "-f", "luks", "-o", f"key-secret=key,{CIPHER}")
            with served("plain", secret) as plain, served("luks", secret) as luks:
                at = {"plain": plain, "luks": luks}
                for place in at.values():
                    rate(place, 1048576, write=True)
                found = [measured(asked, at, size, how) for size in asked["sizes"] for how in (True, False)]
            print(json.dumps(found))
        finally:
            for kind in ("plain", "luks"):
                subprocess.run(
                    ["rbd", "--id", USER, "rm", "--no-progress", f"{POOL}/{name(kind)}"], check=False
                )


def measured(asked, at, size, write):
    found = {"size": size, "write": write, "plain": [], "luks": []}
    for _round in range(asked["rounds"]):
        for kind, place in at.items():
            found[kind].append(rate(place, size, write))
    return found


main()
