"""``routekeeper audit verify-bundle``: whether a bundle is what it says, without a database."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from domain.audit.bundle import BundleReport, check_bundle
from service.cli.audit_log_check import heads_in, is_signed
from service.cli.audit_options import HeadsFile, PublicKeyFile, public_key
from service.cli.errors import BundleUnreadable
from service.cli.moments import shown
from service.cli.options import Output
from service.cli.output import Answer, Column, OutputFormat, facts, give, table

#: The longest line that is read (bytes); the largest event takes about two million.
_LONGEST_LINE = 16 * 1024 * 1024


def verify_bundle(
    file: Annotated[Path, typer.Argument(metavar="FILE", dir_okay=False, help="The bundle.")],
    *,
    heads: HeadsFile = None,
    public_key_file: PublicKeyFile = None,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Check that each event of a bundle is in the log of which it holds the tree head, and is what it says.

    Needs no database. Whether the head is to be trusted is told by --public-key or --heads.

    Exit code 1 if anything is not as it must be.
    """
    key = public_key(public_key_file)
    report = check_bundle(
        _lines(file),
        is_signed=None if key is None else lambda head: is_signed(head, key),
        known_heads=None if heads is None else heads_in(heads),
    )
    data = {
        "ok": report.ok,
        "events": report.events,
        "header": report.header,
        "errors": [{"line": line, "error": error} for line, error in report.errors],
        "more_errors": report.more,
        "proven": report.proven,
        "not_proven": report.not_proven,
    }
    remark = "" if key or heads else "The head was taken as it is: give --public-key or --heads to check it."
    give(Answer(data, lambda width: _drawn(report, width), remark), output)
    if not report.ok:
        raise typer.Exit(1)


def _lines(file: Path) -> Iterator[bytes]:
    try:
        with file.open("rb") as opened:
            while line := opened.readline(_LONGEST_LINE):
                yield line
    except OSError as error:
        raise BundleUnreadable(f"{file} cannot be read: {error.strerror}") from None


def _drawn(report: BundleReport, width: int) -> RenderableType:
    columns: Sequence[Column[tuple[int, str]]] = (
        Column(header="LINE", cell=lambda error: str(error[0]), right=True),
        Column(header="ERROR", cell=lambda error: error[1], wrap=True),
    )
    parts: list[RenderableType] = []
    if report.header is not None:
        head = report.header.head
        parts += [
            facts(
                [
                    ("Events", str(report.events)),
                    ("Deployment", str(report.header.deployment or "all")),
                    ("Positions", f"{report.header.from_position}–{report.header.to_position}"),
                    ("Head", f"{head.size} events, {shown(head.at)} UTC, root {head.root}"),
                ]
            ),
            "",
        ]
    parts.append(table(report.errors, columns, width=width, empty="All is as it says."))
    if report.more:
        parts.append(f"{report.more} more are not listed.")
    for title, said in (("Proven:", report.proven), ("Not proven:", report.not_proven)):
        if said:
            parts += ["", title, *(Text(f"  {each}") for each in said)]
    return Group(*parts)
