"""The authorities of SSH are rotated: killed anywhere, nobody is locked out, and run again it ends right."""

from __future__ import annotations

import pytest
from hvac.exceptions import Forbidden

from socle import catalogue
from socle.errors import SocleError
from socle.vault import issuers, login, ssh
from socle.vault.api import client
from socle.vault.place import Place
from socle.vault.rotation import Rotation
from socle.vault.rotation_targets import Authority
from tests.unit.rotation_world import (
    ROUNDS,
    Killed,
    World,
)


def test_authorities_of_ssh_change_and_nobody_is_locked_out_wherever_it_is_killed(world: World) -> None:
    known = [Authority("users"), Authority("hosts")]
    rotation = Rotation(world.place, catalogue.load())
    for steps in range(ROUNDS):
        before = {one.mount: world.authorities(one.mount) for one in known}
        world.left, ended = steps, False
        try:
            world.rotate("ssh")
            ended = True
        except Killed:
            world.check()
        world.left = -1
        if not ended:
            world.rotate("ssh")
        for one in known:
            (issuer,) = issuers.issuers(rotation.speaker, one.mount)
            assert world.authorities(one.mount) == [issuer.key]
            assert [issuer.key] != before[one.mount], f"killed at {steps}: {one.path} was not rotated"
            assert rotation.state(one) is None
            with pytest.raises(SocleError):
                ssh.sign_host(world.place, rotation.speaker, "ssh-ed25519 AAAA", "ctl1")
        assert world.trusted == world.authorities(ssh.USER_MOUNT)
        assert world.proved[-2:] == ["ssh/users", "ssh/hosts"]
        if ended:
            break
    else:
        pytest.fail("the rotation never came to its end")
    assert steps > 8


def test_the_rotating_login_brings_no_authority_of_its_own(lab_place: Place) -> None:
    speaker = client(lab_place, lab_place.nodes[0], login.token_of(lab_place, "rotation"))
    own = {"private_key": "x", "public_key": "y"}
    for path, body in (
        ("issuers/import/next", own),
        ("issuers/import/other", issuers.NEW_KEY),
        ("config/ca", issuers.NEW_KEY),
        ("config/issuers", {"default": "retired"}),
        ("roles/former", {"issuer_ref": "default"}),
        ("sign/deployer", {"public_key": "x"}),
    ):
        with pytest.raises(Forbidden):
            speaker.write_data(f"{ssh.USER_MOUNT}/{path}", data=body)
