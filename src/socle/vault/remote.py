"""The few things that are done on a node itself, over SSH as the deploying account."""

from __future__ import annotations

import subprocess
from typing import Protocol

from socle.errors import Cause, ExitCode, SocleError
from socle.site.entrance import by_hand, reason
from socle.vault.place import Place, VaultNode

BOOTSTRAP_CERTIFICATE = "/etc/openbao/tls/bootstrap.crt"
RESET = "systemctl stop openbao && find /var/lib/openbao -mindepth 1 -delete && systemctl start openbao"
SECONDS = 60


class Machine(Protocol):
    """What SSH must know of a host."""

    @property
    def name(self) -> str: ...

    @property
    def address(self) -> object: ...


def bootstrap_certificate(place: Place, node: VaultNode) -> str:
    """The certificate that the node signed itself before the PKI was there, in PEM.

    SSH, whose host keys are known, is what makes it trusted.
    """
    return run(place, node, f"sudo -n cat {BOOTSTRAP_CERTIFICATE}")


def reset(place: Place, node: VaultNode) -> None:
    """Delete the node's storage. Only for one that was initialised and whose keys nobody ever had."""
    run(place, node, f"sudo -n sh -c '{RESET}'")


def restart(place: Place, node: VaultNode) -> None:
    """Start the node's OpenBao anew, sealed."""
    run(place, node, "sudo -n systemctl restart openbao")


def run(place: Place, node: Machine, command: str, given: str = "") -> str:
    """Run a shell command on a node and return what it prints.

    Args:
        given: its standard input.

    Raises:
        SocleError: SSH does not get there, or the command fails.
    """
    config = place.state / "ssh_config"
    options = ["-F", str(config)] if config.exists() else ["-o", f"User={place.deploy_user}"]
    target = node.name if config.exists() else str(node.address)
    try:
        done = subprocess.run(
            ["ssh", *options, "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", target, command],
            input=given,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _unreachable(place, node, f"no end after {SECONDS} s") from error
    if done.returncode != 0:
        raise _unreachable(place, node, reason(done.stderr, f"status {done.returncode}"))
    return done.stdout


def _unreachable(place: Place, node: Machine, why: str) -> SocleError:
    return SocleError(
        f"SSH failed: {why}",
        where=node.name,
        write=f"check that `{by_hand(place.state, node.name, node.address, place.deploy_user)}` works",
        exit_code=ExitCode.UNREACHABLE,
        cause=Cause.SSH_FAILED,
    )
