"""What encryption costs volumes: ``python benchmarks/volume_encryption.py [--rounds 3]``.

On the first hypervisor ``qemu-img bench`` writes and reads two images in the pool of volumes, made for
it, one plain and one with LUKS, by the code that a guest's disk goes through; QEMU serves both by a socket.
"""

from __future__ import annotations

import argparse
import json
from statistics import median

from measure import lab_site, on_node, report

SIZES = (1048576, 4096)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    host = lab_site().group("computes")[0].name
    found = json.loads(on_node(host, "volumes.py", json.dumps({"rounds": rounds, "sizes": SIZES}), root=True))
    rows = [
        {
            "requests": f"{'write' if entry['write'] else 'read'} {entry['size'] // 1024} KiB",
            "plain MiB/s": median(entry["plain"]),
            "encrypted MiB/s": median(entry["luks"]),
            "ratio": median(entry["luks"]) / median(entry["plain"]),
        }
        for entry in found
    ]
    report(
        "volume_encryption",
        f"Volumes, LUKS with AES-256-XTS: medians of {rounds} rounds, 8 requests at a time",
        rows,
    )


if __name__ == "__main__":
    main()
