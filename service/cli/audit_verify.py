"""``routekeeper audit verify``: whether the log is one that can have come about, and the views tell the truth."""

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer
from rich.console import Group, RenderableType
from rich.progress import Progress
from rich.text import Text
from sqlalchemy import Engine
from sqlalchemy.exc import DatabaseError

from adapters.event_store.event_log import RecorderEventLog
from adapters.event_store.tree_store import TreeUnusable
from adapters.signatures import PublicKey
from domain.audit.tiles import TreeDamaged
from domain.recorded import LoggedEvent
from projections.catalogue import VIEWS
from projections.checkpoints import fingerprint
from projections.database import open_database, writing
from projections.log_audit import VERSION as LOG_AUDIT_VERSION
from service.checks import Check, Finding
from service.cli.audit_log_check import check_heads, check_log, heads_in
from service.cli.audit_options import HeadsFile, PublicKeyFile, public_key
from service.cli.audit_tree import bars, reading_tree, told
from service.cli.errors import StateDamaged, ViewsMissing
from service.cli.options import MOST_ROWS, Output
from service.cli.output import Answer, OutputFormat, clean, give, note
from service.cli.reading import reading_log
from service.log_checks import examine_log, log_checks
from service.settings import Settings, load_settings
from service.stores import StoreMissing, stores_of
from service.tree import tree_keeper
from service.view_checks import build_views, check_view, view_check
from service.view_lag import held_against_end

State = Annotated[
    Path | None,
    typer.Option(
        "--state",
        file_okay=False,
        metavar="DIR",
        help="Keep what was rebuilt here: an interrupted verification goes on, a later one begins where this ended.",
    ),
]
Findings = Annotated[
    int, typer.Option("--limit", min=1, max=MOST_ROWS, metavar="COUNT", help="Most findings of each check.")
]


_NO_HEADS: Final = Check(
    name="heads",
    holds="the log is as tree heads have it",
    remark="no tree heads yet: tampering before now can't be ruled out; 'routekeeper audit heads --now' writes one",
    skipped=True,
)


class Report(NamedTuple):
    """What a verification came to, up to the event at position ``head``."""

    ok: bool
    head: int
    checks: Sequence[Check]


def verify(
    *,
    heads: HeadsFile = None,
    public_key_file: PublicKeyFile = None,
    state: State = None,
    limit: Findings = 100,
    as_json: Annotated[bool, typer.Option("--json", metavar="", help="The same as -o json.")] = False,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Verify the log and the views; exit code 1 if anything is found.

    Of the log: every event decodes, versions are contiguous, causes exist, each command has one outcome, and nothing
    happened where it may not. It is held against tree heads, and every event is named that was altered, removed,
    inserted or cut off; without --heads those beside the log are taken, which whoever can change it can change too.

    The views are rebuilt beside the live ones and compared row by row; with --heads they need not be there.

    Runs beside workers without holding them up.
    """
    settings = load_settings()
    trees = _tree_checks(settings, heads, public_key(public_key_file))
    report = Report(ok=False, head=0, checks=trees)
    try:
        checks, head = verified(settings, state, limit, needs_views=heads is None)
        checks = [*trees, *checks]
        report = Report(all(check.ok for check in checks), head, checks)
    finally:
        # What the heads prove is told whatever keeps the rest from being looked at.
        if report.checks:
            give(Answer(_data(report), lambda _: _drawn(report)), OutputFormat.JSON if as_json else output)
    if not report.ok:
        raise typer.Exit(1)


def _tree_checks(settings: Settings, heads: Path | None, key: PublicKey | None) -> Sequence[Check]:
    """Hold the log against tree heads, those that are given or those that are stored."""
    given = None if heads is None else heads_in(heads)
    with reading_tree(settings) as tree:
        try:
            known = list(tree_keeper(settings, tree).heads()) if given is None else given
            first = check_heads(known, key) if known else _NO_HEADS
            if known and given is None:
                beside = "these are beside the log; with --heads, those that were kept elsewhere"
                first = replace(first, remark=beside)
        except (TreeDamaged, TreeUnusable) as damage:
            found = Finding(where="heads", message=str(damage), kind="damaged")
            known, first = [], Check(name="heads", holds="the stored tree heads can be read", findings=[found])
        with told("Holding the log against tree heads") as progress:
            return [first, *check_log(tree, known, progress)]


def verified(
    settings: Settings, state: Path | None, limit: int, *, needs_views: bool = True
) -> tuple[Sequence[Check], int]:
    """Carry out all checks; gives them with the position of the last event that was looked at.

    Raises what reading the log and the views raises.
    """
    with tempfile.TemporaryDirectory(prefix="routekeeper-audit-") as folder, reading_log(settings) as log:
        return asyncio.run(_verified(settings, log, state or Path(folder), limit, needs_views=needs_views))


async def _verified(
    settings: Settings, log: RecorderEventLog, folder: Path, limit: int, *, needs_views: bool
) -> tuple[Sequence[Check], int]:
    head = await log.head()
    name = await _name_of(log)
    _prepare(folder, name)
    with _scratch(folder, f"log-{name}-{LOG_AUDIT_VERSION}") as noted, bars() as progress:
        task = progress.add_task("Reading the log", total=head)
        await examine_log(log, noted, until=head, progress=lambda at: progress.update(task, completed=at))
        checks = [*await log_checks(log, noted, limit=limit)]
        views = ".".join(f"{view.name}-{view.version}" for view in VIEWS)
        try:
            with _live(settings) as live, _scratch(folder, f"views-{name}-{views}") as scratch:
                of_views = await _view_checks(log, scratch, live, progress, limit=limit)
                checks += await held_against_end(log, of_views, live=live, within=settings.audit.views_wait_seconds)
        except ViewsMissing as missing:
            if needs_views:
                raise
            holds, remark = "the views are as the log has them", f"skipped: {missing}"
            checks.append(Check(name="views", holds=holds, remark=remark, skipped=True))
    return checks, head


async def _view_checks(
    log: RecorderEventLog, scratch: Engine, live: Engine, progress: Progress, *, limit: int
) -> Sequence[Check]:
    checks: list[Check] = []
    task = progress.add_task("Rebuilding the views", total=await log.head())
    broken = await build_views(log, scratch, live=live, progress=lambda at: progress.update(task, completed=at))
    task = progress.add_task("Comparing the views", total=len(VIEWS))
    for view in VIEWS:
        check = view_check(view, broken) if broken else None
        checks.append(check or await check_view(log, view, live=live, scratch=scratch, limit=limit))
        progress.advance(task)
    return checks


async def _name_of(log: RecorderEventLog) -> str:
    """What tells this log from others, by the event that it begins with."""
    first = await log.read_all(after=0, limit=1)
    if not first:
        return "empty"
    return fingerprint(first[0]) if isinstance(first[0], LoggedEvent) else f"unreadable-{first[0].event_id}"


def _prepare(folder: Path, name: str) -> None:
    """Make the folder, and delete what another version noted of this log: it lacks what is looked for now."""
    mine = f"log-{name}-{LOG_AUDIT_VERSION}.db"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        earlier = [file for file in folder.glob(f"log-{name}*.db") if file.name != mine]
        for file in earlier:
            file.unlink()
    except OSError as error:
        raise StateDamaged(f"--state {folder} cannot be written to: {error.strerror}") from None
    if earlier:
        note(f"--state {folder} was kept by another version: the log is read from its beginning again")


@contextmanager
def _scratch(folder: Path, name: str) -> Iterator[Engine]:
    file = folder / f"{name}.db"
    engine = open_database(f"sqlite:///{file}")
    try:
        try:
            with writing(engine):
                pass
        except DatabaseError as error:
            why = f"cannot be gone on from ({error.orig}): delete it, or give another --state"
            raise StateDamaged(f"{file} {why}") from None
        yield engine
    finally:
        engine.dispose()


@contextmanager
def _live(settings: Settings) -> Iterator[Engine]:
    stores = stores_of(settings)
    try:
        engine = stores.read_views()
    except StoreMissing:
        raise ViewsMissing(f"no views at {stores.views_place} to be verified: start 'routekeeper worker'") from None
    try:
        yield engine
    finally:
        engine.dispose()


def _data(report: Report) -> object:
    checks = [
        {
            "name": each.name,
            "ok": each.ok,
            "skipped": each.skipped,
            "holds": each.holds,
            "findings": each.findings,
            "remark": each.remark,
        }
        for each in report.checks
    ]
    return {"ok": report.ok, "head": report.head, "checks": checks}


def _drawn(report: Report) -> RenderableType:
    lines: list[RenderableType] = [Text(f"The log up to position {report.head}, and the views:"), ""]
    # What keeps all views from being rebuilt would be told for each of them.
    for findings, checks in groupby(report.checks, key=lambda check: tuple(check.findings)):
        for check in checks:
            sign = Text("✗ ", style="red") if findings else Text("✓ ", style="green")
            if check.skipped:
                sign = Text("– ", style="yellow")
            amount = "" if check.ok else f": {len(findings)} found"
            lines.append(sign + Text(check.holds + amount, style="" if check.ok else "bold"))
            if check.remark:
                lines.append(Text(f"    {check.remark}", style="dim"))
        lines += _found(findings)
    return Group(*lines)


def _found(findings: Sequence[Finding]) -> Iterator[Text]:
    """The first finding of each message, with how many more there are."""
    by_message: dict[str, list[Finding]] = {}
    for finding in findings:
        by_message.setdefault(finding.message, []).append(finding)
    for first, *same in by_message.values():
        yield Text(f"    {clean(first.where)}: {clean(first.message)}")
        for each in first.evidence:
            yield Text(f"        position {each.position}  {each.event_id}  {each.type}", style="dim")
        if same:
            more = f"and {len(same)} more with the same message, the last one {clean(same[-1].where)}: see --json"
            yield Text(f"        {more}", style="dim")
