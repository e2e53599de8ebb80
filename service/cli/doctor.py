"""``routekeeper doctor``: what is wrong, and how to repair it."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Final

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from service.cli.options import Output
from service.cli.output import Answer, OutputFormat, clean, give
from service.doctor.checkup import check_up
from service.doctor.finding import Finding, Patience, Status

_MARKS: Final = {
    Status.OK: Text("✓", style="green"),
    Status.FAILED: Text("✗", style="bold red"),
    Status.SKIPPED: Text("-", style="dim"),
}


def doctor(
    *,
    timeout: Annotated[
        float, typer.Option(min=0.1, max=300.0, metavar="SECONDS", help="The longest that one check may take.")
    ] = 10.0,
    max_skew: Annotated[
        float, typer.Option(min=0.0, max=3600.0, metavar="SECONDS", help="How far clocks may be apart.")
    ] = 5.0,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Check settings, databases, Kafka, topics, app proxies and clocks one by one, and say how to repair each.

    Changes nothing: a proxy is asked to remove an endpoint that nobody has. The exit code is 1 if any check failed.
    """
    findings = asyncio.run(check_up(Patience(check_seconds=timeout, skew_seconds=max_skew)))
    give(Answer([asdict(each) for each in findings], lambda _: _drawn(findings)), output)
    if any(each.status is Status.FAILED for each in findings):
        raise typer.Exit(1)


def _drawn(findings: Sequence[Finding]) -> RenderableType:
    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    drawn.add_column(no_wrap=True)
    drawn.add_column(no_wrap=True)
    drawn.add_column(overflow="fold")
    for each in findings:
        drawn.add_row(_MARKS[each.status], Text(clean(each.check)), Text(clean(each.found)))
        if each.repair:
            drawn.add_row("", "", Text(f"→ {clean(each.repair)}", style="yellow"))
    return drawn
