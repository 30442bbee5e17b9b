"""SSH keys of the lab: one for the deploying machine, one per node, checked from the first login."""

from __future__ import annotations

from pathlib import Path

from socle.lab.plan import LabPlan
from socle.lab.process import run
from socle.site.entrance import renewing


def ensure_key(path: Path, comment: str) -> str:
    """Make an Ed25519 key pair without a passphrase unless it exists; return the public key.

    The private key appears under its name only when complete.
    """
    public = path.with_name(f"{path.name}.pub")
    if not (path.exists() and public.exists()):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f".{path.name}.new")
        for left in (draft, draft.with_name(f"{draft.name}.pub")):
            left.unlink(missing_ok=True)
        command: list[str | Path] = [
            "ssh-keygen",
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-C",
            comment,
            "-f",
            draft,
        ]
        run(command, doing=f"SSH key {path}")
        draft.with_name(f"{draft.name}.pub").rename(public)
        draft.rename(path)
    return public.read_text(encoding="ascii").strip()


def write_client_files(plan: LabPlan, folder: Path, host_keys: dict[str, str]) -> None:
    """Write ``known_hosts`` and ``ssh_config`` for all nodes into the site's state folder.

    Args:
        host_keys: public host key by node name.
    """
    known = [f"{node.address},{node.name} {_bare(host_keys[node.name])}" for node in plan.nodes]
    _replace(folder / "known_hosts", "".join(f"{line}\n" for line in known))
    hosts = "".join(f"Host {node.name}\n  HostName {node.address}\n\n" for node in plan.nodes)
    _replace(folder / "ssh_config", hosts + _for_all(plan, folder))


def _for_all(plan: LabPlan, folder: Path) -> str:
    patterns = [word for node in plan.nodes for word in (node.name, str(node.address))]
    renewed = renewing(plan.folder, folder, patterns) if plan.folder else ""
    return f"""{renewed}
Host {" ".join(patterns)}
  User {plan.user}
  IdentityFile {folder / "id_ed25519"}
  IdentitiesOnly yes
  UserKnownHostsFile {folder / "known_hosts"}
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  ConnectTimeout 10
  LogLevel ERROR
"""


def _bare(public_key: str) -> str:
    """Type and key without the comment."""
    return " ".join(public_key.split()[:2])


def _replace(path: Path, content: str) -> None:
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(content, encoding="utf-8")
    draft.chmod(0o600)
    draft.rename(path)
