"""Runs on a node of OpenBao, from standard input, with its configuration as argument; prints the devices."""

import json
import os
import re
import subprocess
import sys
import time

MIB = 1024 * 1024
DEVICE = re.compile(r'^audit\s+"(\w+)"\s+"([\w-]+)"\s*\{(.*?)^\}', re.MULTILINE | re.DOTALL)
OPTION = re.compile(r'^\s*(\w+)\s*=\s*"([^"]*)"', re.MULTILINE)
JOURNALS = ("/var/log/journal", "/run/log/journal", "/var/log")


def device(kind: str, name: str, options: dict[str, str]) -> dict[str, object]:
    """Where a device writes, the room there in MiB, the size of its file if any, and when it wrote last."""
    path = options.get("file_path") or next(path for path in JOURNALS if os.path.isdir(path))  # noqa: PTH112
    there = os.path.dirname(path) if kind == "file" else path  # noqa: PTH120
    disk = os.statvfs(there)
    size, last = of_file(path) if kind == "file" else (None, of_journal(options.get("tag", "openbao")))
    return {
        "name": f"{kind}/{name}",
        "path": path,
        "free": disk.f_bavail * disk.f_frsize // MIB,
        "inodes": disk.f_favail if disk.f_files else 1,
        "size": None if size is None else size // MIB,
        "age": None if last is None else round(time.time() - last, 1),
    }


def of_file(path: str) -> tuple[int, float | None]:
    """Size, and time of the last write; none when there is no file."""
    try:
        found = os.stat(path)  # noqa: PTH116
    except FileNotFoundError:
        return 0, None
    return found.st_size, found.st_mtime


def of_journal(tag: str) -> float | None:
    """When the last entry with a tag was written."""
    command = ["journalctl", "-q", "-t", tag, "-n", "1", "-o", "short-unix"]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout.split()
    return float(said[0]) if said else None


def main() -> None:
    """Print the devices that the configuration names."""
    with open(sys.argv[1], encoding="utf-8") as stream:  # noqa: PTH123
        found = DEVICE.findall(stream.read())
    devices = [device(kind, name, dict(OPTION.findall(content))) for kind, name, content in found]
    sys.stdout.write(json.dumps(devices) + "\n")


if __name__ == "__main__":
    main()
