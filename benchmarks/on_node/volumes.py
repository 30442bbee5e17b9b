"""Throughput of a plain and an encrypted image in the pool of volumes: runs on a hypervisor as root.

Reads ``{"rounds": n, "sizes": [bytes of a request]}``; prints a list of ``{"size", "write", "plain": [MiB/s],
"luks": [MiB/s]}``.
The images are made for it and removed; the passphrase is random and stands in memory only.
"""

import json
import re
import secrets
import subprocess
import sys
import tempfile

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


def rate(kind, secret, size, write):
    """MiB per second."""
    count = min(TOTAL // size, REQUESTS)
    command = ["qemu-img", "bench", "--object", secret, "-d", "8", "-t", "none", "-c", str(count)]
    told = run(*command, "-s", str(size), *(["-w"] * write), "--image-opts", options(kind))
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
            for kind in ("plain", "luks"):
                rate(kind, secret, 1048576, write=True)
            found = [measured(asked, secret, size, how) for size in asked["sizes"] for how in (True, False)]
            print(json.dumps(found))
        finally:
            for kind in ("plain", "luks"):
                subprocess.run(
                    ["rbd", "--id", USER, "rm", "--no-progress", f"{POOL}/{name(kind)}"], check=False
                )


def measured(asked, secret, size, write):
    found = {"size": size, "write": write, "plain": [], "luks": []}
    for _round in range(asked["rounds"]):
        for kind in ("plain", "luks"):
            found[kind].append(rate(kind, secret, size, write))
    return found


main()
