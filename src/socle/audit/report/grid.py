"""The evaluation grid: one line for each requirement, as a spreadsheet (ODF 1.3) and as CSV (RFC 4180)."""

from __future__ import annotations

import csv as csv_files
import io

from odf.opendocument import OpenDocumentSpreadsheet  # type: ignore[import-untyped]
from odf.style import ParagraphProperties, Style, TableCellProperties, TableColumnProperties, TextProperties  # type: ignore[import-untyped]
from odf.table import Table, TableCell, TableColumn, TableRow  # type: ignore[import-untyped]
from odf.text import P  # type: ignore[import-untyped]

from socle.audit.model import Control, Judgement, Status
from socle.audit.report.content import SEVERITY_FR, Content, Row, when

MODALITY_FR = {"must": "obligatoire", "should": "recommandé", "may": "permis"}
AUTOMATION_FR = {"full": "entièrement", "partial": "en partie", "evidence-only": "preuves seules"}
HEAD = (
    "Exigence",
    "Chapitre",
    "Section",
    "Résumé (le texte du référentiel fait foi)",
    "Modalité",
    "Évaluable par la machine",
    "Statut",
    "Motif",
    "Contrôles",
    "Écarts constatés",
    "À faire",
    "Preuves",
)
WIDTHS = ("1.8cm", "1.6cm", "4.5cm", "9cm", "2.2cm", "2.6cm", "3.2cm", "7cm", "5cm", "9cm", "9cm", "5cm")
COLOURS = {
    Status.CONFORME: "#b8fec9",
    Status.PARTIAL: "#e8edff",
    Status.NON_CONFORME: "#ffe9e6",
    Status.NOT_APPLICABLE: "#eeeeee",
    Status.NOT_EVALUATED: "#ffe9cc",
    Status.WAIVED: "#f8e0f0",
    Status.EVIDENCE: "#dee5fd",
}


def csv(shown: Content) -> bytes:
    """The grid as CSV in UTF-8 with a byte order mark, cut by semicolons, as French spreadsheets expect."""
    text = io.StringIO(newline="")
    writer = csv_files.writer(text, delimiter=";", lineterminator="\r\n")
    writer.writerow(HEAD)
    writer.writerows([_harmless(cell) for cell in cells(row)] for row in shown.rows)
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def cells(row: Row) -> tuple[str, ...]:
    """The cells of one requirement, in the order of ``HEAD``."""
    failed = [(c, j) for c, j in row.controls if j.findings]
    return (
        row.requirement.id,
        row.chapter,
        row.requirement.section_title,
        row.requirement.summary_fr,
        MODALITY_FR[row.requirement.modality],
        AUTOMATION_FR[row.requirement.automation],
        row.verdict.status.value,
        row.verdict.reason,
        "\n".join(f"{control.id} : {judgement.status.value}" for control, judgement in row.controls),
        "\n".join(
            f"{f.subject} : attendu {f.expected}, trouvé {f.found}" for _c, j in failed for f in j.findings
        ),
        "\n".join(dict.fromkeys(_repair(control) for control, _judgement in failed)),
        "\n".join(row.verdict.evidence),
    )


def ods(shown: Content) -> bytes:
    """The grid as a spreadsheet of three sheets: requirements, controls, perimeter."""
    document = OpenDocumentSpreadsheet()
    look = _Look(document)
    requirements = _sheet(document, look, "Exigences", WIDTHS, HEAD)
    for row in shown.rows:
        _line(requirements, look, cells(row), row.verdict.status, 6)
    controls = _sheet(document, look, "Contrôles", CONTROL_WIDTHS, CONTROL_HEAD)
    for judgement in shown.audit.judgements:
        _line(
            controls, look, control_cells(shown.controls[judgement.control], judgement), judgement.status, 4
        )
    perimeter = _sheet(document, look, "Périmètre", ("7cm", "20cm"), ("Élément", "Valeur"))
    for name, value in perimeter_of(shown):
        _line(perimeter, look, (name, value), None, 0)
    written = io.BytesIO()
    document.write(written)
    return written.getvalue()


CONTROL_HEAD = (
    "Contrôle",
    "Titre",
    "Exigences",
    "Gravité",
    "Statut",
    "Sujets lus",
    "Motif ou écarts",
    "À faire",
)
CONTROL_WIDTHS = ("5cm", "8cm", "4cm", "2.2cm", "3.2cm", "2cm", "10cm", "9cm")


def control_cells(control: Control, judgement: Judgement) -> tuple[str, ...]:
    """The cells of one control, in the order of ``CONTROL_HEAD``."""
    found = [f"{f.subject} : attendu {f.expected}, trouvé {f.found}" for f in judgement.findings]
    return (
        control.id,
        control.title_fr,
        ", ".join(control.requirements),
        SEVERITY_FR[control.severity],
        judgement.status.value,
        str(judgement.read),
        "\n".join([*found, *([judgement.reason] if judgement.reason else [])]),
        _repair(control) if judgement.findings else "",
    )


def perimeter_of(shown: Content) -> list[tuple[str, str]]:
    """What was judged, when, as whom, by what, how it ended, and what it cannot say."""
    return [
        *scope_of(shown),
        *((f"Exigences au statut « {status.value} »", str(count)) for status, count in shown.counts.items()),
        *((f"Compte de lecture : {name}", who) for name, who in sorted(shown.facts.permissions.items())),
        *limits_of(shown),
    ]


def limits_of(shown: Content) -> list[tuple[str, str]]:
    """What the audit cannot say, and what is wrong with the registers that it leant on."""
    audit = shown.audit
    return [*(("Registre", fault) for fault in audit.faults), *(("Limite", limit) for limit in shown.limits)]


def accounts_of(shown: Content) -> dict[str, list[str]]:
    """By what accounts was read, and which readings each did."""
    found: dict[str, list[str]] = {}
    for name, who in sorted(shown.facts.permissions.items()):
        found.setdefault(who, []).append(name)
    return found


def scope_of(shown: Content) -> list[tuple[str, str]]:
    """What was judged, when and by what."""
    audit = shown.audit
    proof = (
        f"{shown.proof[0]}, manifeste SHA-256 {shown.proof[1]}{' (non prouvé)' if shown.unproved else ''}"
        if shown.proof
        else "aucun : rien n’a été signé"
    )
    return [
        ("Site", f"{shown.title} ({audit.site})"),
        ("Organisme", shown.organisation),
        ("Lecture", "du nuage en service" if audit.kind == "live" else "des fichiers, avant déploiement"),
        ("Début des lectures", when(shown.facts.started)),
        ("Fin des lectures", when(shown.facts.ended)),
        ("Services offerts", ", ".join(shown.facts.services)),
        ("Hôtes", ", ".join(shown.hosts)),
        ("Outil", f"socle {audit.tool}"),
        ("Dossier de preuves", proof),
    ]


def _repair(control: Control) -> str:
    return f"{control.remediation_fr} ({control.variable})" if control.variable else control.remediation_fr


def _harmless(text: str) -> str:
    """A cell that no spreadsheet takes for a formula (OWASP, CSV injection)."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


class _Look:
    """The styles of a spreadsheet, by name."""

    def __init__(self, document: OpenDocumentSpreadsheet) -> None:
        self.document = document
        self.head = self._cell("entete", "#000091", TextProperties(fontweight="bold", color="#ffffff"))
        self.plain = self._cell("cellule", None)
        self.by_status = {status: self._cell(status.name.lower(), COLOURS[status]) for status in Status}
        self._widths: dict[str, Style] = {}

    def _cell(self, name: str, colour: str | None, text: TextProperties | None = None) -> Style:
        style = Style(name=name, family="table-cell")
        more = {"backgroundcolor": colour} if colour else {}
        style.addElement(TableCellProperties(wrapoption="wrap", verticalalign="top", padding="0.1cm", **more))
        style.addElement(ParagraphProperties(textalign="start"))
        if text:
            style.addElement(text)
        self.document.automaticstyles.addElement(style)
        return style

    def width(self, width: str) -> Style:
        """The style of a column of this width."""
        if width not in self._widths:
            style = Style(name=f"colonne{len(self._widths)}", family="table-column")
            style.addElement(TableColumnProperties(columnwidth=width))
            self.document.automaticstyles.addElement(style)
            self._widths[width] = style
        return self._widths[width]


def _sheet(
    document: OpenDocumentSpreadsheet, look: _Look, name: str, widths: tuple[str, ...], head: tuple[str, ...]
) -> Table:
    table = Table(name=name)
    for width in widths:
        table.addElement(TableColumn(stylename=look.width(width)))
    document.spreadsheet.addElement(table)
    row = TableRow()
    for text in head:
        row.addElement(_cell(text, look.head))
    table.addElement(row)
    return table


def _line(table: Table, look: _Look, texts: tuple[str, ...], status: Status | None, at: int) -> None:
    row = TableRow()
    for place, text in enumerate(texts):
        row.addElement(_cell(text, look.by_status[status] if status and place == at else look.plain))
    table.addElement(row)


def _cell(text: str, style: Style) -> TableCell:
    cell = TableCell(valuetype="string", stylename=style)
    for line in text.split("\n") or [""]:
        cell.addElement(P(text=line))
    return cell
