"""The deploying account's SSH certificate: renewed at the start of a run, and by ``ssh`` before it connects.

``python -m socle.deploy.certificate SITE-FOLDER`` is what ``ssh`` runs; its error goes to the user.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from socle import catalogue, durable, vault
from socle.errors import ExitCode, SocleError
from socle.site import Site, load
from socle.site.entrance import ASKING, NO_CERTIFICATE, user_authority
from socle.vault import ssh
from socle.vault.place import Place

REFUSED = "ssh_certificate_refused"
ASK_AGAIN = 30.0
"""Seconds before OpenBao, which did not sign, is asked again by sessions; a run asks at once."""


def come_in(site: Site) -> bool:
    """See that a run begins with a certificate that outlives it; true when it is new.

    OpenBao is opened first where it is closed and this machine plays the custodians' parts: nodes that accept
    nothing but certificates could not be deployed otherwise. Before there is an authority, nothing is done.

    Raises:
        SocleError: OpenBao does not sign: exit code 6 when it is sealed or does not answer.
    """
    if not user_authority(site):
        return False
    place = vault.place_of(site, catalogue.load())
    with _alone(place):
        if not ssh.needs_certificate(place):
            return False
        vault.unseal(place)
        vault.ssh_certificate(place)
    (place.state / REFUSED).unlink(missing_ok=True)
    return True


def renew(site: Site) -> None:
    """The same for one session, by whoever comes first; does not open OpenBao.

    Raises:
        SocleError: OpenBao does not sign, or did not some seconds ago.
    """
    place = vault.place_of(site, catalogue.load())
    refused = place.state / REFUSED
    with _alone(place):
        if not ssh.needs_certificate(place):
            return
        if refused.is_file() and time.time() - refused.stat().st_mtime < ASK_AGAIN:
            raise SocleError(refused.read_text(encoding="utf-8"), exit_code=ExitCode.UNREACHABLE)
        try:
            vault.ssh_certificate(place)
        except SocleError as error:
            durable.write(refused, str(error))
            raise
        refused.unlink(missing_ok=True)


@contextmanager
def _alone(place: Place) -> Iterator[None]:
    """Many sessions begin at once; one of them asks."""
    with (place.state / ".ssh_certificate.lock").open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(folder: Path) -> int:
    """Renew, and say in a line why not."""
    os.environ[ASKING] = "yes"
    try:
        renew(load(folder))
    except SocleError as error:
        print(f"{NO_CERTIFICATE}{' '.join(str(error).split())}", file=sys.stderr)  # noqa: T201
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
