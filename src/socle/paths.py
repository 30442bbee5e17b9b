"""Where the kit keeps things: the checkout, the cache (can be deleted) and a site's state (must be kept)."""

from __future__ import annotations

import os
from pathlib import Path


def project_root() -> Path:
    """The checkout that holds ``playbooks/``, ``roles/`` and ``inventories/``."""
    return Path(__file__).resolve().parents[2]


def cache_dir() -> Path:
    """Binaries, layers and images, each under a hash of what went in; safe to delete."""
    override = os.environ.get("SOCLE_CACHE")
    if override:
        path = Path(override)
    elif os.geteuid() == 0:
        path = Path("/var/cache/socle")
    else:
        path = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "socle"
    path.mkdir(parents=True, exist_ok=True)
    return path


def state_dir(site: str) -> Path:
    """The state of one site (journal, stack states, lock), mode 0700; never to be deleted by hand."""
    override = os.environ.get("SOCLE_STATE")
    if override:
        parent = Path(override)
    elif os.geteuid() == 0:
        parent = Path("/var/lib/socle")
    else:
        parent = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "socle"
    path = parent / site
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path
