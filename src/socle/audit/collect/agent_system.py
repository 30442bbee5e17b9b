"""What a host is: release, kernel, clock, packages, where they come from, and what they lack."""

from __future__ import annotations

from socle.audit.collect.agent import Questions, output, section, text


@section("system")
def system(_questions: Questions) -> dict[str, str]:
    """The release of Debian and the kernel."""
    release = dict(line.split("=", 1) for line in text("/etc/os-release").splitlines() if "=" in line)
    return {
        "id": release["ID"].strip('"'),
        "codename": release["VERSION_CODENAME"].strip('"'),
        "version": text("/etc/debian_version").strip(),
        "kernel": output("uname", "--kernel-release").strip(),
    }
