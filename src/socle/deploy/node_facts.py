"""Runs on a node, from standard input, with the units to look at as arguments; prints one JSON object."""

import datetime
import glob
import json
import os
import shutil
import subprocess
import sys

MIB = 1024 * 1024
PROPERTIES = ("Id", "LoadState", "ActiveState", "SubState")


def output(*command: str) -> str:
    """What a command prints."""
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout


def units(names: list[str]) -> list[dict[str, str]]:
    """The states of units, in the order in which they were asked for."""
    if not names:
        return []
    blocks = (
        output("systemctl", "show", "--property", ",".join(PROPERTIES), "--", *names).strip().split("\n\n")
    )
    states = [dict(line.split("=", 1) for line in block.splitlines()) for block in blocks]
    return [
        {"name": name, "load": s["LoadState"], "active": s["ActiveState"], "sub": s["SubState"]}
        for name, s in zip(names, states, strict=True)
    ]


def certificates() -> list[dict[str, object]]:
    """The certificates of the node and how long they last."""
    return [certificate(path) for path in sorted(glob.glob("/etc/socle/tls/*.crt"))]  # noqa: PTH207


def certificate(path: str) -> dict[str, object]:
    """One certificate; ``openssl`` says its end as ``notAfter=2027-01-31 10:00:00Z``."""
    said = output(
        "openssl",
        "x509",
        "-in",
        path,
        "-noout",
        "-enddate",
        "-dateopt",
        "iso_8601",
        "-subject",
        "-nameopt",
        "multiline",
    )
    end = said.split("notAfter=", 1)[1].splitlines()[0].rstrip("Z")
    left = datetime.datetime.fromisoformat(end + "+00:00") - datetime.datetime.now(datetime.UTC)
    common = said.split("commonName", 1)[-1].split("=", 1)[-1].splitlines()[0].strip()
    name = os.path.basename(path)[: -len(".crt")]  # noqa: PTH119
    return {"name": name, "subject": common, "days_left": left.days}


def text(path: str) -> str:
    """A file's content."""
    with open(path, encoding="utf-8") as stream:  # noqa: PTH123
        return stream.read()


def memory() -> dict[str, int]:
    """``/proc/meminfo`` in MiB."""
    lines = (line.split(":", 1) for line in text("/proc/meminfo").splitlines())
    return {name: int(value.split()[0]) // 1024 for name, value in lines}


def main() -> None:
    """Print what the node is and how it is."""
    disk, mem = shutil.disk_usage("/"), memory()
    facts = {
        "debian": text("/etc/debian_version").strip(),
        "uptime_seconds": int(float(text("/proc/uptime").split()[0])),
        "load": round(os.getloadavg()[0], 2),
        "cores": os.cpu_count() or 1,
        "memory_total": mem["MemTotal"],
        "memory_available": mem["MemAvailable"],
        "disk_total": disk.total // MIB,
        "disk_free": disk.free // MIB,
        "units": units(sys.argv[1:]),
        "certificates": certificates(),
    }
    sys.stdout.write(json.dumps(facts) + "\n")


if __name__ == "__main__":
    main()
