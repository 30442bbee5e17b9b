"""What the audit's probes may do in OpenBao: act on an account of nobody, and on their own token."""

from __future__ import annotations

from typing import Any, Final

NAME: Final = "canary"
"""Of the AppRole and its policy."""
LOGIN: Final = "audit_canary"
"""The account that probes make and remove. Nobody of people.yml can have a login with an underscore."""

USER: Final = f"auth/userpass/users/{LOGIN}"


def rules() -> dict[str, dict[str, Any]]:
    """The account gets a password and no policy: what a login would give, were it let in, opens nothing."""
    return {
        USER: {
            "capabilities": ["create", "update", "delete"],
            "allowed_parameters": {"password": [], "token_ttl": ["1m"], "token_no_default_policy": [True]},
        },
        f"sys/locked-users/+/unlock/{LOGIN}": {"capabilities": ["update"]},
        "auth/token/lookup-self": {"capabilities": ["read"]},
        "auth/token/revoke-self": {"capabilities": ["update"]},
    }
