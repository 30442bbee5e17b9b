"""Tell what turned red: in the journal of this machine, and to the address that the site names, if any."""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from pathlib import Path
from typing import Final

from socle.errors import ExitCode, SocleError
from socle.site import Site
from socle.site.settings import Alerts

JOURNAL: Final = Path("/run/systemd/journal/socket")
"""Where journald takes entries (its native protocol)."""
IDENTIFIER: Final = "socle-audit"
ERROR: Final = 3
"""``err`` of syslog."""
SECONDS: Final = 20
WRITE: Final = "`audit.alerts` in site.yml"


def to_journal(site: str, lines: Sequence[str], journal: Path = JOURNAL) -> bool:
    """One entry of the priority ``err`` for each line; false where no journal is kept.

    Source: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stream:
            stream.connect(str(journal))
            for line in lines:
                fields = {
                    "PRIORITY": str(ERROR),
                    "SYSLOG_IDENTIFIER": IDENTIFIER,
                    "SOCLE_SITE": site,
                    "MESSAGE": " ".join(line.split()),
                }
                stream.sendall("".join(f"{name}={value}\n" for name, value in fields.items()).encode())
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    return True


def to_people(site: Site, subject: str, lines: Sequence[str]) -> None:
    """A mail to the address of the site's settings, by the relay that they name; nobody is called otherwise.

    Raises:
        SocleError: the relay does not answer (exit code 6), cannot prove who it is, or refuses.
    """
    alerts = site.settings.audit.alerts
    if alerts is None:
        return
    message = EmailMessage()
    message["From"] = alerts.sender or alerts.to
    message["To"] = alerts.to
    message["Subject"] = subject
    message.set_content("\n".join(lines) + "\n")
    where = f"{alerts.relay}:{alerts.port}"
    try:
        with smtplib.SMTP_SSL(
            alerts.relay, alerts.port, timeout=SECONDS, context=_trust(site, alerts)
        ) as relay:
            relay.send_message(message)
    except smtplib.SMTPException as error:
        raise SocleError(f"takes no mail ({error})", where=where, write=WRITE) from error
    except OSError as error:
        raise SocleError(
            f"takes no mail ({error})",
            where=where,
            write=WRITE,
            exit_code=ExitCode.UNREACHABLE,
        ) from error


def _trust(site: Site, alerts: Alerts) -> ssl.SSLContext:
    """The authority that the site names, else those that this machine trusts."""
    context = ssl.create_default_context(cafile=str(site.folder / alerts.ca_file) if alerts.ca_file else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
