"""The same page as the HTML report, on paper: PDF by WeasyPrint, tagged for screen readers."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from socle.audit.report import html
from socle.audit.report.content import Content
from socle.errors import ExitCode, SocleError


def render(shown: Content) -> bytes:
    """The report as PDF/UA-1.

    Raises:
        SocleError: the libraries that draw text are not on this machine (exit code 4).
    """
    try:
        from weasyprint import HTML  # type: ignore[import-untyped]  # noqa: PLC0415 - needs system libraries
    except OSError as error:
        raise SocleError(
            "the libraries that draw PDF files are missing",
            where="rapport.pdf",
            write="apt install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0, or leave pdf out",
            exit_code=ExitCode.PREREQUISITE,
        ) from error
    page = HTML(string=html.render(shown, paper=True).decode(), url_fetcher=_nothing)
    with _no_collection():
        return bytes(page.write_pdf(pdf_variant="pdf/ua-1"))


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without the collector of cycles: the boxes of a page refer to each other and live to the end, and to go
    through all of them again and again is a fifth of the time.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _nothing(url: str, *_more: object) -> dict[str, object]:
    """The page holds all that it shows: nothing is fetched from anywhere."""
    raise ValueError(f"a report fetches nothing: {url[:80]}")
