"""What a proof tries after a rotation: the logins that must be accepted, and those that must be refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def account_logins(
    paths: Sequence[str], accounts: Sequence[Mapping[str, Any]], provider: Mapping[str, Any]
) -> dict[str, list[Any]]:
    """Logins by what is expected of them; ``accounts`` are what ``account`` looks up for each path."""
    accepted, refused = [], []
    for path, account in zip(paths, accounts, strict=True):
        component, _slash, kind = path.partition("/")
        what = {"kind": kind}
        if component in provider["accounts"]:
            what["domain"] = provider["domain"]
        accepted.append({**what, "name": account["name"], "password": account["password"]})
        refused += [{**what, **old} for old in account["old"]]
    return {"accepted": accepted, "refused": refused}


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Names as they are written in playbooks."""
        return {"account_logins": account_logins}
