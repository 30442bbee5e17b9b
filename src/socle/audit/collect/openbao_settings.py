"""How OpenBao itself is set: audit devices, listeners, mounts, members, the key of its storage."""

from __future__ import annotations

from typing import Any, Final

from socle.audit.collect.openbao_session import Session

LISTENER: Final = (
    "tls_min_version",
    "tls_cipher_suites",
    "tls_disable",
    "disable_unauthed_rekey_endpoints",
    "max_request_size",
    "max_request_duration",
    "unauthenticated_metrics_access",
    "profiling",
)
SERVER: Final = ("enable_ui", "raw_storage_endpoint", "introspection_endpoint", "log_level")
OWN: Final = frozenset({"cubbyhole", "identity", "system"})
"""Types of mounts that every OpenBao has."""


def audit_devices(session: Session) -> list[dict[str, Any]]:
    """Name, type and options of each device."""
    return [
        {"name": path.rstrip("/"), "type": device["type"], "options": dict(device["options"] or {})}
        for path, device in sorted(session.data("sys/audit").items())
    ]


def listeners(session: Session) -> dict[str, Any]:
    """Settings of the active node as it holds them; OpenBao itself leaves secrets out (``sanitized``)."""
    held = session.data("sys/config/state/sanitized")
    return {
        "server": {key: held.get(key) for key in SERVER},
        "listeners": [
            {"type": one["type"], **{key: one["config"].get(key) for key in LISTENER}}
            for one in held["listeners"]
        ],
        "seals": sorted(str(seal["type"]) for seal in held.get("seals") or []),
        "storage": held["storage"]["type"],
    }


def mounts(session: Session) -> dict[str, Any]:
    """Type and options of each secrets engine that somebody mounted."""
    return {
        path.rstrip("/"): {
            "type": mount["type"],
            "version": (mount.get("options") or {}).get("version"),
            "plugin": mount.get("plugin_version") or None,
        }
        for path, mount in sorted(session.data("sys/mounts").items())
        if mount["type"] not in OWN
    }


def raft(session: Session) -> list[dict[str, Any]]:
    """The members."""
    servers = session.data("sys/storage/raft/configuration")["config"]["servers"]
    return sorted(
        ({"name": one["node_id"], "voter": one["voter"], "address": one["address"]} for one in servers),
        key=lambda one: str(one["name"]),
    )


def barrier(session: Session) -> dict[str, Any]:
    """The key under which the storage is written, and when it is replaced."""
    status, config = session.data("sys/key-status"), session.data("sys/rotate/config")
    return {
        "term": status["term"],
        "age_days": session.age_days(status["install_time"]),
        "rotates_by_itself": config["enabled"],
        "most_operations": config["max_operations"],
    }
