"""The invariants of network segments: the model site obeys them all, each change breaks the right one."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from socle.paths import project_root
from socle.site import SiteErrors, load
from socle.site.checks.invariants import overhead

MODEL = project_root() / "inventories" / "modele-gip"
WAIVER = """\
rule: I4
applies_to: [salles-overlay]
reason: The cards of the second room know no other cipher before their new firmware.
compensation: The optical layer below encrypts as well.
owner: anne.lefevre
decided_by: elise.fontaine
start: {start}
end: {end}
"""

BREAKS = {
    "I3": ("client: 1500, underlay: 9000", "client: 1500, underlay: 1580"),
    "I4 cipher": ("cipher: gcm-aes-256,", "cipher: gcm-aes-128,"),
    "I4 optical": ("cipher: AES-256-GCM,", "cipher: AES-256-CTR,"),
    "I4 CBC": ("esp: aes256gcm16-ecp384", "esp: aes256-sha256-ecp384"),
    "I4 offset": ("must_secure: true,", "must_secure: true, confidentiality_offset: 30,"),
    "I5 group": ("ike: aes256gcm16-prfsha384-ecp384", "ike: aes256gcm16-prfsha384-modp1024"),
    "I5 psk": ("auth: x509", "auth: psk"),
    "I6 IKE": ("ike_rekey_s: 21600", "ike_rekey_s: 86401"),
    "I6 child": ("child_life_s: 3600", "child_life_s: 21601"),
    "I6 SAK": ("sak_life_s: 3600", "sak_life_s: 21601"),
    "I6 headless": ("headless_max_s: 86400", "headless_max_s: 1209601"),
    "I6 age": ("max_age_s: 604800", "max_age_s: 2678401"),
    "I6 future": ("created: 2026-01-05T08:00:00Z", "created: 2999-01-05T08:00:00Z"),
    "I7": ("openbao://kv-seg/salles-overlay/sak#v1", "openbao://kv-seg/salles-storage/ppk#v1"),
    "I9 failure": ("on_failure: block", "on_failure: pass"),
    "I9 secure": ("must_secure: true", "must_secure: false"),
    "I10": ("network: oob-salle-a", "network: salles-storage"),
    "I12 span": ("span: fibre-sud", "span: fibre-nord"),
}


def site_with(parent: Path, old: str, new: str) -> Path:
    """The model site with one change in its segments."""
    folder = parent / "site"
    shutil.copytree(MODEL, folder)
    text = (folder / "segments.yml").read_text("utf-8")
    assert old in text
    (folder / "segments.yml").write_text(text.replace(old, new, 1), "utf-8")
    return folder


def errors(folder: Path) -> list[str]:
    """What the load of a folder says; nothing when it loads."""
    try:
        load(folder)
    except SiteErrors as found:
        return [error.what for error in found.errors]
    return []


@pytest.mark.parametrize("case", BREAKS)
def test_each_change_breaks_its_invariant(tmp_path: Path, case: str) -> None:
    found = errors(site_with(tmp_path, *BREAKS[case]))
    assert found
    assert {what.split(":")[0] for what in found} == {case.split(maxsplit=1)[0]}


def test_i1_and_i2_want_a_layer_of_the_hosts(tmp_path: Path) -> None:
    folder = site_with(tmp_path, "    layers:\n      - {type: macsec", "    layers:\n      # - {type: macsec")
    text = (
        (folder / "segments.yml")
        .read_text("utf-8")
        .replace("    layers:\n      # -", "    layers: []\n      # -")
    )
    (folder / "segments.yml").write_text(text, "utf-8")
    assert [what.split(":")[0] for what in errors(folder)] == ["I1", "I2"]


def test_optics_that_are_only_declared_do_not_count(tmp_path: Path) -> None:
    folder = site_with(tmp_path, "attested_by: telemetry", "attested_by: declared")
    text = (folder / "segments.yml").read_text("utf-8")
    start = text.index("    layers:\n      - type: ipsec")
    end = text.index("    keys:", start)
    (folder / "segments.yml").write_text(text[:start] + "    layers: []\n" + text[end:], "utf-8")
    assert [what.split(":")[0] for what in errors(folder)] == ["I1", "I2"]


@pytest.mark.parametrize(("days", "kept"), [(30, True), (-1, False)])
def test_a_weaker_cipher_needs_a_waiver_that_runs(tmp_path: Path, days: int, kept: bool) -> None:
    folder = site_with(tmp_path, "cipher: gcm-aes-256,", "cipher: gcm-aes-128,")
    today = datetime.now(UTC).date()
    text = WAIVER.format(start=today - timedelta(days=60), end=today + timedelta(days=days))
    (folder / "derogations" / "i4.yml").write_text(text, "utf-8")
    assert (errors(folder) == []) is kept


def test_a_waiver_is_signed_by_a_person_of_the_site(tmp_path: Path) -> None:
    folder = site_with(tmp_path, "client: 1500", "client: 1500")
    text = WAIVER.format(start="2026-01-01", end="2026-12-31").replace("elise.fontaine", "elise.fontane")
    (folder / "derogations" / "i4.yml").write_text(text, "utf-8")
    assert errors(folder) == ["`elise.fontane` is nobody of people.yml"]


def test_overheads_of_the_model_site() -> None:
    found = {segment.id: overhead(segment) for segment in load(MODEL).segments.segments}
    assert found == {
        "salles-storage": 4 + 85,
        "salles-storage-secours": 4 + 85,
        "salles-overlay": 58 + 32,
        "baie-a2-admin": 4,
    }


def test_an_unknown_layer_is_one_line(tmp_path: Path) -> None:
    folder = site_with(tmp_path, "{type: macsec,", "{type: macsek,")
    with pytest.raises(SiteErrors) as caught:
        load(folder)
    assert len(caught.value.errors) == 1
    assert caught.value.errors[0].expected == "`ipsec`, `macsec`, `wireguard`"


def test_an_unknown_key_in_a_layer_is_suggested(tmp_path: Path) -> None:
    folder = site_with(tmp_path, "replay_window: 0", "replay_windo: 0")
    with pytest.raises(SiteErrors) as caught:
        load(folder)
    assert "write `replay_window`" in str(caught.value)
