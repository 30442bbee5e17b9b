"""Which certificates the deploying machine trusts when it speaks to OpenBao.

Once the PKI is there, that is the site's root and nothing else. Before, and as long as a node still shows the
certificate that it made for its first start, that very certificate is pinned beside the root, read over SSH.
"""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

from socle import durable
from socle.errors import Cause, ExitCode, SocleError
from socle.vault import remote
from socle.vault.place import Place, VaultNode

SECONDS = 5.0


def trust_file(place: Place) -> Path:
    """A PEM file with what is to be trusted for all nodes that answer now.

    Raises:
        SocleError: no node answers, or one shows a certificate that is neither.
    """
    path = place.folder / "trust.pem"
    root = place.ca_file.read_text(encoding="ascii") if place.ca_file.exists() else ""
    pinned = [pin for node in place.nodes for pin in _pins(place, node, root)]
    text = root + "".join(pinned)
    if not text:
        raise unreachable(place)
    if not path.exists() or path.read_text(encoding="ascii") != text:
        durable.write(path, text)
    return path


def unreachable(place: Place, reason: str = "") -> SocleError:
    """No node of OpenBao answers."""
    return SocleError(
        f"OpenBao does not answer: {reason}" if reason else "OpenBao does not answer",
        where=", ".join(node.url for node in place.nodes),
        write="check `systemctl status openbao` on the node",
        exit_code=ExitCode.UNREACHABLE,
        cause=Cause.OPENBAO_SILENT,
    )


def _pins(place: Place, node: VaultNode, root: str) -> list[str]:
    """The node's first certificate if it still shows that one."""
    try:
        if root:
            _shake(node, root)
            return []
        socket.create_connection((node.address, node.port), timeout=SECONDS).close()
    except ssl.SSLError:
        pass  # It answers, and shows another certificate.
    except OSError:
        return []
    pin = place.folder / f"pin-{node.name}.pem"
    if pin.exists() and handshake(node, pin.read_text(encoding="ascii")) is None:
        return [pin.read_text(encoding="ascii")]
    certificate = remote.bootstrap_certificate(place, node)
    refused = handshake(node, certificate)
    if refused is None:
        durable.write(pin, certificate)
        return [certificate]
    raise SocleError(
        f"OpenBao shows a certificate that is not to be trusted: {refused}",
        where=node.url,
        expected="one of the site's own authority, or the one of its first start",
        exit_code=ExitCode.UNREACHABLE,
        cause=Cause.OPENBAO_NOT_TRUSTED,
    )


def handshake(node: VaultNode, authorities: str) -> str | None:
    """Why TLS with the node fails when only these PEM certificates are trusted; None when it succeeds."""
    try:
        _shake(node, authorities)
    except OSError as error:
        return str(error)
    return None


def _shake(node: VaultNode, authorities: str) -> None:
    """Greet the node over TLS.

    Raises:
        ssl.SSLError: it is not to be trusted by these certificates.
        OSError: it does not answer.
    """
    context = ssl.create_default_context(cadata=authorities)
    with (
        socket.create_connection((node.address, node.port), timeout=SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=node.address),
    ):
        pass
