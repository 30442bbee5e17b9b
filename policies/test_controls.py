"""Each control on a site. What could not be evaluated is skipped with its reason, never passed."""

from __future__ import annotations

import pytest

from socle.audit.judging import judge
from socle.audit.model import Control, Facts, Status


def test_control(control: Control, facts: Facts) -> None:
    judgement = judge(control, facts)
    if judgement.status is Status.NOT_EVALUATED:
        pytest.skip(f"non évalué : {judgement.reason}")
    wrong = [f"{f.subject} : attendu {f.expected}, trouvé {f.found}" for f in judgement.findings]
    assert not wrong, "\n".join([control.title_fr, *wrong, f"À faire : {control.remediation_fr}"])
