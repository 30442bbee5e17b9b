"""Bills of materials: nothing is left out, and they are CycloneDX."""

from __future__ import annotations

import json
import re

import pytest
from pydantic import ValidationError

from socle.errors import SocleError
from socle.paths import project_root
from socle.supply import sources
from socle.supply.bom import Component, Hash, bill
from socle.tools.recipe import recipes

DIGEST = "ab" * 32
TOLD = """/usr/local/bin/bao: go1.26.8
\tpath\tgithub.com/openbao/openbao
\tmod\tsocle/tools/bao\t(devel)
\tdep\tgithub.com/one/one\tv1.2.3+incompatible\th1:abc=
\tdep\tgithub.com/two/two\tv1.0.0
\t=>\tgithub.com/fork/two\tv2.0.0\th1:def=
\tbuild\t-trimpath=true
"""


def test_every_package_of_the_lock_is_there_with_all_its_digests() -> None:
    text = (project_root() / "requirements.lock").read_text()
    parts = list(sources.locked(text))
    assert len(parts) == len(re.findall(r"^[A-Za-z0-9][^\n]*==", text, re.MULTILINE)) > 50
    assert sum(len(part.references[0].hashes) for part in parts) == text.count("--hash=sha256:")


@pytest.mark.parametrize("text", [f"one>=1 \\\n    --hash=sha256:{DIGEST}\n", "one==1\n"])
def test_what_is_not_pinned_or_has_no_digest_is_refused(text: str) -> None:
    with pytest.raises(SocleError, match=r"requirements\.lock: one"):
        list(sources.locked(text))


def test_modules_of_a_binary_with_what_replaces_them() -> None:
    found = {part.name: part for part in sources.modules("bao", TOLD)}
    assert set(found) == {"stdlib", "github.com/one/one", "github.com/fork/two"}
    assert found["stdlib"].version == "1.26.8"
    assert found["github.com/one/one"].purl == "pkg:golang/github.com/one/one@v1.2.3+incompatible"
    assert {p.name: p.value for p in found["github.com/fork/two"].properties} == {
        "socle:binary": "bao",
        "golang:h1": "h1:def=",
    }


def test_the_module_that_a_binary_is_built_from_is_in_the_bill() -> None:
    told = TOLD.replace("mod\tsocle/tools/bao\t(devel)", "mod\tgithub.com/openbao/openbao\tv0.1.0\th1:own=")
    assert "github.com/openbao/openbao" in {part.name for part in sources.modules("bao", told)}


def test_a_module_in_two_binaries_is_one_component_that_names_both() -> None:
    (part,) = sources.merged([*sources.modules("bao", TOLD)[1:2], *sources.modules("pulumi", TOLD)[1:2]])
    assert [p.value for p in part.properties if p.name == "socle:binary"] == ["bao", "pulumi"]


def test_modules_of_a_binary_that_is_not_built_are_those_that_it_requires() -> None:
    (recipe, *_others) = [r for r in recipes().values() if r.name == "bao"]
    parts = {part.name: part for part in sources.required("bao", recipe)}
    text = (recipe.folder / "go.mod").read_text()
    assert len(parts) == len(re.findall(r"^(?:require |\t)\S+ v\S+( // indirect)?$", text, re.MULTILINE)) + 1
    assert parts["stdlib"].version == recipe.go_versions()[1]
    assert parts["github.com/openbao/openbao"].properties[1].name == "golang:h1"
    replaced = {part.name for part in sources.required("pulumi", recipes()["pulumi"])}
    assert "github.com/tgummerer/clipboard" in replaced
    assert "github.com/atotto/clipboard" not in replaced


def test_packages_of_a_node_are_those_that_are_installed() -> None:
    told = (
        "bash\t5.2.37-2+b5\tamd64\tbash\t5.2.37-2\tinstalled\t\n"
        "passwd\t1:4.17.4-2\tamd64\tshadow\t1:4.17.4-2\tinstalled\t\n"
        "gone\t1\tall\tgone\t1\tconfig-files\t\n"
    )
    parts = list(sources.packages(told, "13"))
    assert [part.name for part in parts] == ["bash", "passwd"]
    assert parts[0].purl == "pkg:deb/debian/bash@5.2.37-2%2Bb5?arch=amd64&distro=debian-13"
    assert parts[1].purl == "pkg:deb/debian/passwd@1%3A4.17.4-2?arch=amd64&distro=debian-13"


def test_the_same_parts_give_the_same_bytes_in_any_order() -> None:
    subject = Component(type="application", name="socle", version="1")
    parts = sources.modules("bao", TOLD)
    assert bill(subject, parts, "1") == bill(subject, reversed(parts), "1")
    assert bill(subject, parts, "1") != bill(subject, parts[1:], "1")


def test_a_bill_names_each_component_once_and_all_as_dependencies() -> None:
    subject = Component(type="application", name="socle", version="1")
    parts = sources.modules("bao", TOLD)
    written = json.loads(bill(subject, [*parts, *parts], "1"))
    references = [part["bom-ref"] for part in written["components"]]
    assert len(references) == len(set(references)) == len(parts)
    assert written["dependencies"] == [{"ref": "socle@1", "dependsOn": references}]
    assert (written["bomFormat"], written["specVersion"]) == ("CycloneDX", "1.6")
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", written["serialNumber"])


@pytest.mark.parametrize(
    "fields",
    [{"name": ""}, {"purl": "no purl"}, {"purl": "pkg:pypi/a b@1"}, {"type": "thing"}, {"author": "x"}],
)
def test_what_the_standard_refuses_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Component.model_validate({"name": "a", "version": "1", **fields})
    with pytest.raises(ValidationError):
        Hash(alg="SHA-256", content="xyz")
