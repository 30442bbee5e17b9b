"""What is wrong with a rule on a host, in kinds: told to operators in English, to auditors in French."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Phrases = Mapping[str, str]
"""A sentence for each kind of problem, with its fields; ``unset``, ``set``, ``nothing`` stand for values."""

ENGLISH: Phrases = {
    "unset": "not set",
    "set": "set",
    "nothing": "nothing",
    "differs": "{name} is {found}, expected {wanted}",
    "loadable": "{name} may be loaded",
    "loaded": "{name} is loaded",
    "mounted": "{name} is mounted without {wanted}",
    "units": "{found} units are told, expected {wanted}",
    "unit": "{name} is {found}, expected {wanted}",
    "unconfined": "no profile is enforced",
    "complains": "{name} only complains",
    "nobody's": "{name} belongs to nobody",
    "privileged": "{name} has special rights",
    "not loaded": "not loaded: {name}",
    "missing": "missing: {name}",
    "unexpected": "not expected: {name}",
    "order": "the lines are in another order",
}
FRENCH: Phrases = {
    "unset": "absent",
    "set": "présent",
    "nothing": "rien",
    "differs": "{name} : trouvé {found}, attendu {wanted}",
    "loadable": "le module {name} peut être chargé",
    "loaded": "le module {name} est chargé",
    "mounted": "{name} est monté sans {wanted}",
    "units": "services décrits : {found}, attendu {wanted}",
    "unit": "{name} : état {found}, attendu {wanted}",
    "unconfined": "aucun profil n’est appliqué",
    "complains": "le profil {name} signale sans interdire",
    "nobody's": "{name} n’a pas de propriétaire",
    "privileged": "{name} porte des droits spéciaux",
    "not loaded": "règle non chargée : {name}",
    "missing": "ligne absente : {name}",
    "unexpected": "ligne inattendue : {name}",
    "order": "les lignes sont dans un autre ordre",
}


@dataclass(frozen=True)
class Problem:
    """One thing that is not as its rule wants it."""

    kind: str
    name: str = ""
    found: str | None = ""
    """What is there; ``None`` where nothing is."""
    wanted: str | None = ""
    """What should be; empty where it is enough to be there, ``None`` where nothing should be."""

    def told(self, phrases: Phrases) -> str:
        """The sentence that says it."""
        found = phrases["unset"] if self.found is None else self.found
        wanted = phrases["nothing"] if self.wanted is None else self.wanted or phrases["set"]
        return phrases[self.kind].format(name=self.name, found=found, wanted=wanted)
