"""The catalogue of requirements: all of them, in our words, with what a person must add."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from string import ascii_lowercase

import pytest

from socle.audit import requirements
from socle.site import SiteErrors

ALL = requirements.load()


def test_all_278_are_there_and_none_is_missing_in_a_section() -> None:
    assert Counter(one.automation for one in ALL.values()) == {
        "full": 75,
        "partial": 70,
        "evidence-only": 133,
    }
    letters: dict[str, str] = {}
    for name in ALL:
        section, _dot, letter = name.rpartition(".")
        letters[section] = letters.get(section, "") + letter
    assert all(found == ascii_lowercase[: len(found)] for found in letters.values()), letters
    assert {name.partition(".")[0] for name in ALL} == requirements.chapters().keys()


def test_what_a_machine_cannot_tell_has_its_evidence_and_the_rest_has_none() -> None:
    for one in ALL.values():
        assert (one.evidence is None) == (one.automation == "full"), one.id


def test_summaries_are_in_two_languages_and_each_is_its_own() -> None:
    assert all(one.summary_fr != one.summary_en for one in ALL.values())
    repeated = Counter(one.summary_fr for one in ALL.values() if not one.id.startswith("19.1."))
    assert not [text for text, count in repeated.items() if count > 1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("chapters: {}\n", "requirements"),
        ("chapters: {}\nrequirements:\n  5.1.a: {section: a, fr: b}\n", "5.1.a"),
        ("chapters: {}\nrequirements:\n  5.1.a: {section: a, fr: '', en: c}\n", "character"),
        ("chapters: [\n", "line"),
    ],
)
def test_a_wrong_file_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "catalogue.yml"
    path.write_text(text)
    with pytest.raises(SiteErrors) as caught:
        requirements.read_file(path)
    assert "catalogue.yml:" in str(caught.value)
    assert said in str(caught.value) or said == "line"
