"""Who left, or has other roles, has no session any more, also when the first try was killed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from socle import vault
from socle.vault import custody, people, quorum
from socle.vault.api import client
from socle.vault.place import Place

PASSWORD = "a long enough password"


@pytest.mark.parametrize("now", [{}, {"eve": ("auditor",)}], ids=["left", "other roles"])
def test_a_kill_leaves_no_session(
    place: Place, monkeypatch: pytest.MonkeyPatch, now: dict[str, tuple[str, ...]]
) -> None:
    staff = replace(place, people={"eve": ("operator",)})
    vault.prepare(staff)
    people.enrol(staff, custody.shares_of(staff), "eve", PASSWORD)
    with quorum.root(staff, custody.shares_of(staff), "test") as master:
        master.delete(f"identity/mfa/login-enforcement/{people.METHOD}")  # spares a code
        guest = client(staff, staff.nodes[0])
        guest.token = guest.auth.userpass.login("eve", PASSWORD)["auth"]["client_token"]
    assert guest.is_authenticated()

    def killed(*_arguments: object) -> None:
        raise KeyboardInterrupt

    after = replace(staff, people=now)
    with monkeypatch.context() as patch:
        patch.setattr(people, "_end_sessions", killed)
        with pytest.raises(KeyboardInterrupt):
            vault.configure(after)
    assert vault.configure(after)
    assert not guest.is_authenticated()
    with quorum.root(after, custody.shares_of(after), "test") as master:
        left = master.list(f"auth/{people.MOUNT}/users")
        assert (left["data"]["keys"] if left else []) == list(now)
