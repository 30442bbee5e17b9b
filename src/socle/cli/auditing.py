"""``socle audit``: judge a site against SecNumCloud 3.2, before and after its deployment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from socle.audit import controls as control_files
from socle.audit import requirements as requirement_file
from socle.audit.coverage import matrix
from socle.audit.judging import plain_lines
from socle.audit.model import Audit, Facts, Judgement, Status, Verdict
from socle.audit.verify import plain
from socle.cli.app import app, err, examples, options, out
from socle.cli.mutating import mutations
from socle.errors import ExitCode, SocleError
from socle.site import Site

if TYPE_CHECKING:
    from socle.audit.collect import Kind
    from socle.audit.probe import Probe

audit = typer.Typer(
    help="Judge a site against SecNumCloud 3.2, with evidence that can be checked offline.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
app.add_typer(audit, name="audit")
audit.command(
    epilog=examples("socle audit mutations --control ssh-root-login", "socle audit mutations --sample 8")
)(mutations)

_BUNDLES = "a bundle or a chain of bundles"
STYLES = {
    Status.CONFORME: "green",
    Status.PARTIAL: "cyan",
    Status.NON_CONFORME: "bold red",
    Status.NOT_EVALUATED: "yellow",
    Status.WAIVED: "magenta",
    Status.EVIDENCE: "blue",
    Status.NOT_APPLICABLE: "dim",
}


class AuditExit(IntEnum):
    """How an audit ends, beside the codes of every command."""

    CONFORME = 0
    NON_CONFORME = 10
    NOT_EVALUATED = 11
    WRONG_REGISTER = 12


def exit_code(result: Audit) -> AuditExit:
    """What the result is for a script: a non-conformity weighs more than what was not evaluated.

    What a waiver covers is no non-conformity here: each control is conform or waived when it is ``CONFORME``.
    """
    found = {judgement.status for judgement in result.judgements}
    if Status.NON_CONFORME in found:
        return AuditExit.NON_CONFORME
    if result.faults:
        return AuditExit.WRONG_REGISTER
    if Status.NOT_EVALUATED in found or not result.judgements:
        return AuditExit.NOT_EVALUATED
    return AuditExit.CONFORME


@audit.command(
    epilog=examples("socle audit static", "socle --site inventories/mine audit static --facts facts.json")
)
def static(
    context: typer.Context,
    facts: Annotated[Path | None, typer.Option(help="Also write what was read there, as JSON.")] = None,
    bundle: Annotated[bool, typer.Option(help="Sign, date and keep it; needs OpenBao.")] = False,
) -> None:
    """Judge the site's files, rendered configuration and history, before anything is deployed.

    Exit code: 10 when something is not in conformity, 12 when the registers are wrong, 11 when something
    could not be evaluated.
    """
    _run(context, "static", facts, bundle)


@audit.command(epilog=examples("socle audit live", "socle audit live --facts facts.json"))
def live(
    context: typer.Context,
    facts: Annotated[Path | None, typer.Option(help="Also write what was read there, as JSON.")] = None,
    bundle: Annotated[bool, typer.Option(help="Sign, date and keep it in the site's chain.")] = True,
    probes: Annotated[
        bool, typer.Option("--probes/--safe", help="Also run every probe, on canaries, before reading.")
    ] = False,
) -> None:
    """Judge the running cloud: hosts, services, APIs, OpenBao, listeners, with read-only accounts.

    Exit code: 10 when something is not in conformity, 12 when the registers are wrong, 11 when something
    could not be evaluated.
    """
    _run(context, "live", facts, bundle, probes=probes)


@audit.command(
    epilog=examples(
        "socle audit probe --list", "socle audit probe keystone-lockout", "socle audit probe --clean"
    )
)
def probe(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(metavar="[PROBE]…", help="All when not said.")] = None,
    *,
    listed: Annotated[bool, typer.Option("--list", help="Say what each does and leaves behind.")] = False,
    clean: Annotated[bool, typer.Option(help="Only remove what a killed run left.")] = False,
    facts: Annotated[Path | None, typer.Option(help="Also write what was told there, as JSON.")] = None,
) -> None:
    """Act on canaries: try what must not work, and judge what answered. `audit live --probes` keeps it.

    The canaries are tenants and accounts of nobody, removed at the end, or by the next run after a kill.

    Exit code: 10 when something is not in conformity, 11 when something could not be tried, 5 when other
    probes run.
    """
    from socle.audit import probe as probing  # noqa: PLC0415 - loads slowly
    from socle.audit.evaluating import evaluate  # noqa: PLC0415 - beside its parts

    given = options(context)
    wanted = probing.chosen(names or ())
    if listed:
        _list(context, wanted)
        return
    site = given.load()
    if clean:
        removed = probing.clean(site)
        out.print(f"removed: {', '.join(removed) or 'nothing'}", highlight=False)
        return
    with err.status("probing") as status:
        told = probing.run(site, wanted, tell=lambda name: status.update(f"{name} done"))
    if facts:
        facts.write_text(told.model_dump_json(indent=1) + "\n", encoding="utf-8")
    known = {probe.fact.name for probe in wanted}
    own = {name: one for name, one in control_files.load().items() if set(one.needs) <= known}
    result = evaluate(told, own, {})
    if given.json:
        out.print_json(data={"facts": told.model_dump(mode="json"), "audit": result.model_dump(mode="json")})
    else:
        out.print(_judgements(list(result.judgements)))
    raise typer.Exit(exit_code(result))


def _list(context: typer.Context, wanted: Sequence[Probe]) -> None:
    if options(context).json:
        data = [{"name": p.name, "fact": p.fact.name, "tried": p.tried, "effects": p.effects} for p in wanted]
        out.print_json(data={"probes": data})
        return
    table = Table("sonde", "ce qu’elle tente", "ses effets", title="Sondes", title_justify="left")
    for one in wanted:
        table.add_row(one.name, one.tried, one.effects)
    out.print(table)


@audit.command(
    epilog=examples("socle audit verify", "socle audit verify DIR --key audit.pub --tsa-ca ca.pem")
)
def verify(
    context: typer.Context,
    *,
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="A bundle or a chain; the site's own when not said.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Public key of the signer, PEM.")] = None,
    tsa_ca: Annotated[Path | None, typer.Option(help="Certificate of the timestamps' authority.")] = None,
    head: Annotated[str | None, typer.Option(help="SHA-256 of the last manifest that was seen.")] = None,
    rederive: Annotated[bool, typer.Option(help="Also replay the rules on the facts of each.")] = False,
) -> None:
    """Verify bundles offline: every file, signature and timestamp, and the chain.

    `verify.py`, beside the sources of the audit, does the same with Python and openssl alone.

    Exit code: 1 when something is wrong, 3 when it could not be proved for want of a key.
    """
    from socle.audit import bundle, notary  # noqa: PLC0415 - loads hvac, slowly
    from socle.audit import verify as offline  # noqa: PLC0415 - beside its parts

    given = options(context)
    own = folder is None
    if folder is None:
        site = given.load()
        folder = notary.chain_of(site)
        key, tsa_ca = key or notary.signer_key(site), tsa_ca or notary.authority_of(site)
    if not folder.is_dir():
        # Only the site's own folder is made by an audit.
        expected, write = (None, "run `socle audit live` first") if own else (_BUNDLES, None)
        raise SocleError("no bundles are there", where=str(folder), expected=expected, write=write)
    found = offline.verify(folder, offline.Trust(key, tsa_ca, head))
    if rederive:
        alone = (folder / offline.MANIFEST).is_file()
        for name in found.sound:
            again = bundle.replayed(folder if alone else folder / name)
            if again is None:
                found.unproved.append(f"{name} : non rejoué, jugé par les contrôles d’une autre version")
            else:
                found.faults += [offline.plain(f"{name} : {line}") for line in again]
    if given.json:
        out.print_json(data={**asdict(found), "code": found.code})
    else:
        for line in found.lines():
            out.print(line, markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(found.code)


@audit.command(epilog=examples("socle audit coverage", "socle audit coverage --json"))
def coverage(context: typer.Context) -> None:
    """Show which control tests which of the 278 requirements; fails when one is left out.

    Exit code: 1 when a requirement has neither a control nor a place in the register of evidence.
    """
    lines = matrix(requirement_file.load(), control_files.load())
    holes = [line for line in lines if line.hole]
    if options(context).json:
        data = [
            {"requirement": line.requirement.id, "controls": list(line.controls), "hole": line.hole}
            for line in lines
        ]
        out.print_json(data={"requirements": data, "holes": len(holes)})
    else:
        table = Table("requirement", "automation", "controls", "hole", title="Coverage", title_justify="left")
        for line in lines:
            table.add_row(
                line.requirement.id,
                line.requirement.automation,
                ", ".join(line.controls),
                line.hole or "",
                style="red" if line.hole else None,
            )
        out.print(table)
        tested, count = sum(bool(line.controls) for line in lines), len(control_files.load())
        out.print(f"{len(lines)} requirements, {tested} tested by {count} controls, {len(holes)} holes")
    raise typer.Exit(ExitCode.FAILED if holes else ExitCode.OK)


@audit.command(
    epilog=examples("socle audit report rapport/", "socle audit report rapport/ --form html --form ods")
)
def report(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write.")],
    form: Annotated[
        list[str] | None,
        typer.Option(help="html, pdf, ods, csv, oscal…; all when not said; may be repeated."),
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option(help="The bundle to tell of; the site's latest when not said.")
    ] = None,
) -> None:
    """Write an audit as an auditor reads it: French page, PDF, grid (ODS, CSV), OSCAL, JUnit, SARIF…

    It is verified first: what is wrong gets no report, what could not be proved is told in it.

    Exit codes: 1 there is no bundle yet, or it is not what was signed for this site, 4 a library that PDF
    files need is missing.
    """
    from socle.audit.report import FORMS, write  # noqa: PLC0415 - loads slowly
    from socle.audit.report.of_bundle import content_of  # noqa: PLC0415 - beside its parts

    given = options(context)
    site = given.load()
    unknown = [name for name in form or [] if name not in FORMS]
    if unknown:
        raise SocleError(
            f"no form {unknown[0]}",
            where="--form",
            expected=" or ".join(FORMS),
            exit_code=ExitCode.USAGE,
        )
    with err.status("writing"):
        shown = content_of(site, bundle)
        written = write(folder, shown, form or FORMS)
    for line in shown.unproved:
        err.print(f"NON PROUVÉ  {line}", markup=False, highlight=False, soft_wrap=True)
    if given.json:
        out.print_json(data={name: str(path) for name, path in written.items()})
        return
    for path in written.values():
        out.print(str(path), highlight=False, soft_wrap=True)


def _run(context: typer.Context, kind: Kind, file: Path | None, keep: bool, *, probes: bool = False) -> None:
    # The libraries of collectors take seconds to load.
    from socle.audit.collect import collect  # noqa: PLC0415
    from socle.audit.evaluating import evaluate  # noqa: PLC0415

    given = options(context)
    site = given.load()
    with err.status("reading") as status:
        probed = _probed(site, lambda name: status.update(f"{name} done")) if probes else None
        read = collect(site, kind, tell=lambda name: status.update(f"{name} read"))
    if probed:
        from socle.audit.probe import with_probes  # noqa: PLC0415 - as above

        read = with_probes(read, probed)
    read = read.frozen()
    if file:
        file.write_text(read.model_dump_json(indent=1) + "\n", encoding="utf-8")
    result = evaluate(read)
    kept = _kept(site, read, result) if keep else None
    if given.json:
        out.print_json(result.model_dump_json())
    else:
        show(result)
        if kept:
            out.print(f"Dossier de preuves : {kept}", highlight=False, soft_wrap=True)
    raise typer.Exit(exit_code(result))


def _probed(site: Site, tell: Callable[[str], None]) -> Facts:
    from socle.audit import probe as probing  # noqa: PLC0415 - loads slowly

    return probing.run(site, tell=tell)


def _kept(site: Site, read: Facts, result: Audit) -> Path:
    from socle.audit import bundle, notary  # noqa: PLC0415 - loads hvac, slowly

    return bundle.write(notary.chain_of(site), read, result, notary.notary_of(site))


def show(result: Audit) -> None:
    """The result on a screen: requirements by chapter, then every control that is not green."""
    out.print(_chapters(result.verdicts))
    rest = [judgement for judgement in result.judgements if judgement.status is not Status.CONFORME]
    if rest:
        out.print(_judgements(rest))
    for fault in result.faults:
        out.print(plain(fault), style="bold red", markup=False, highlight=False, soft_wrap=True)
    counted = Counter(judgement.status for judgement in result.judgements)
    out.print(", ".join(f"{counted[status]} {status.value}" for status in Status if counted[status]))
    for limit in result.limits:
        out.print(limit, style="dim")


def _chapters(verdicts: tuple[Verdict, ...]) -> Table:
    table = Table("chapitre", *(status.value for status in Status), title="Exigences", title_justify="left")
    counts: dict[str, Counter[Status]] = {}
    for verdict in verdicts:
        counts.setdefault(verdict.requirement.partition(".")[0], Counter())[verdict.status] += 1
    for chapter, counted in counts.items():
        cells = [Text(str(counted[status] or ""), style=STYLES[status]) for status in Status]
        table.add_row(chapter, *cells)
    return table


def _judgements(judgements: list[Judgement]) -> Table:
    table = Table("contrôle", "statut", "où, attendu, trouvé", title="À regarder", title_justify="left")
    for judgement in judgements:
        lines = [f"{f.subject} : attendu {f.expected}, trouvé {f.found}" for f in judgement.findings[:5]]
        if len(judgement.findings) > len(lines):
            lines.append(f"et {len(judgement.findings) - len(lines)} autres écarts")
        lines += [judgement.reason] if judgement.reason else []
        text = plain_lines("\n".join(lines))
        table.add_row(judgement.control, Text(judgement.status.value, style=STYLES[judgement.status]), text)
    return table
