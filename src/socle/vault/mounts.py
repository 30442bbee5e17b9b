"""Where the secrets engines of OpenBao stand; the mounts of SSH and of the tenants are in their modules."""

from __future__ import annotations

from typing import Final

KV: Final = "kv"
TRANSIT: Final = "transit"
PKI_ROOT: Final = "pki_root"
PKI_SERVICES: Final = "pki_services"
