"""Why something could not be read, in French: the kit's own errors are in English, for operators."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import requests

from socle.errors import Cause, ExitCode, SocleError

NO_AUTHORITY: Final = "l’autorité du site n’est pas encore là : déployer d’abord"
AUTHORITY: Final = "ca.pem"
CAUSES: Final = {
    Cause.OPENBAO_SILENT: "OpenBao ne répond pas",
    Cause.OPENBAO_SEALED: "OpenBao est scellé : l’ouvrir par « socle vault unseal »",
    Cause.OPENBAO_NOT_INITIALISED: "OpenBao n’est pas initialisé : « socle vault init »",
    Cause.OPENBAO_NOT_TRUSTED: "OpenBao présente un certificat qui n’est pas du site",
    Cause.OPENBAO_REFUSES: "OpenBao refuse la demande",
    Cause.NO_LOGIN: "cette machine n’a pas de compte dans OpenBao : déployer d’abord",
    Cause.NO_SECRET: "ce secret n’est pas dans OpenBao : déployer d’abord",
    Cause.SSH_FAILED: "SSH n’ouvre pas de session",
}
"""What lies behind an error of the kit, to what an auditor reads."""
CODES: Final = {
    ExitCode.PREREQUISITE: "ce dont la lecture a besoin manque sur la machine qui déploie",
    ExitCode.LOCKED: "un autre passage est en cours",
    ExitCode.UNREACHABLE: "ce qui est lu ne répond pas",
}


def why(error: BaseException) -> str:
    """A sentence for what lies behind an error, and where; what is not known is told as it is."""
    if isinstance(error, FileNotFoundError):
        # Where OpenSSL looks for it, no name is told.
        name = Path(str(error.filename or AUTHORITY)).name
        return NO_AUTHORITY if name == AUTHORITY else f"le fichier {name} n’est pas là"
    if isinstance(error, OSError) and "TLS CA certificate bundle" in str(error):
        return NO_AUTHORITY
    if isinstance(error, requests.exceptions.RequestException):
        return f"OpenBao ne répond plus ({type(error).__name__})"
    if not isinstance(error, SocleError):
        return f"{type(error).__name__} : {error}"
    told = CAUSES[error.cause] if error.cause else CODES.get(error.exit_code)
    if told is None:
        return str(error)
    return f"{told} ({error.where})" if error.where else told
