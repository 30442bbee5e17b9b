"""Ask everything at once and put the answers in order."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from socle.catalogue import Catalogue
from socle.deploy.status.cloud import cloud_sections
from socle.deploy.status.endpoints import endpoint_section
from socle.deploy.status.finding import Section
from socle.deploy.status.machines import machine_sections
from socle.deploy.status.openbao import openbao_section
from socle.site import Site

Question = Callable[[Site, Catalogue], list[Section]]


def gather(site: Site, services: Catalogue) -> list[Section]:
    """Everything that ``socle status`` shows; what cannot be read is a finding, never an exception.

    Takes as long as the slowest answer.
    """
    questions: list[Question] = [machine_sections, openbao_section, endpoint_section, cloud_sections]
    with ThreadPoolExecutor(len(questions)) as pool:
        answers = list(pool.map(lambda question: question(site, services), questions))
    return [section for sections in answers for section in sections]
