"""Why something could not be read, in French: the kit's own errors are in English, for operators."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import requests

from socle.errors import ExitCode, SocleError

NO_AUTHORITY: Final = "l’autorité du site n’est pas encore là : déployer d’abord"
AUTHORITY: Final = "ca.pem"
KINDS: Final = {
    "OpenBao does not answer": "OpenBao ne répond pas",
    "OpenBao is sealed": "OpenBao est scellé : l’ouvrir par « socle vault unseal »",
    "OpenBao is not initialised": "OpenBao n’est pas initialisé : « socle vault init »",
    "OpenBao shows a certificate": "OpenBao présente un certificat qui n’est pas du site",
    "refused: ": "OpenBao refuse la demande",
    "this machine has no login to OpenBao": "cette machine n’a pas de compte dans OpenBao : déployer d’abord",
    "is not in OpenBao": "ce secret n’est pas dans OpenBao : déployer d’abord",
    "SSH failed": "SSH n’ouvre pas de session",
    "does not answer by SSH": "l’hôte ne répond pas par SSH",
}
"""How an error of the kit begins, to what an auditor reads."""
CODES: Final = {
    ExitCode.PREREQUISITE: "ce dont la lecture a besoin manque sur la machine qui déploie",
    ExitCode.LOCKED: "un autre passage est en cours",
    ExitCode.UNREACHABLE: "ce qui est lu ne répond pas",
}


def why(error: BaseException) -> str:
    """A sentence for a kind of error, and where; what is not of a known kind is told as it is."""
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
    known = (text for begin, text in KINDS.items() if error.what.startswith(begin))
    told = next(known, None) or CODES.get(error.exit_code)
    if told is None:
        return str(error)
    return f"{told} ({error.where})" if error.where else told
