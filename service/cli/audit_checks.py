"""What ``routekeeper audit verify`` looks at: a list of checks, each with what it found."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.text import Text

from service.cli.output import Column, table


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditDifference:
    """Something that is not as it must be, from position ``first`` to ``last`` (``None``: it has no position)."""

    kind: str
    what: str
    first: int | None = None
    last: int | None = None
    is_proven: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What a check came to: ``said`` in a sentence; ``more`` differences (count) are not listed."""

    check: str
    said: str
    differences: Sequence[AuditDifference] = ()
    more: int = 0
    ok: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ok", not self.differences and not self.more)


#: Is told how far a check has come: so many of so many steps (counts).
Progress = Callable[[int, int], None]

#: A check; it may come to several results.
AuditCheck = Callable[[Progress], Iterator[CheckResult]]


def drawn(results: Sequence[CheckResult], width: int) -> RenderableType:
    """Draw results, one a row, and below them what was found."""
    checks: Sequence[Column[CheckResult]] = (
        Column(header="CHECK", cell=lambda result: result.check),
        Column(header="RESULT", cell=_verdict),
        Column(header="", cell=lambda result: result.said, wrap=True),
    )
    found: Sequence[Column[AuditDifference]] = (
        Column(header="POSITION", cell=_place, right=True),
        Column(header="DIFFERENCE", cell=lambda difference: difference.kind),
        Column(header="WHAT", cell=lambda difference: difference.what, wrap=True),
    )
    parts: list[RenderableType] = [table(results, checks, width=width, empty="Nothing was checked.")]
    for result in results:
        if result.differences:
            parts += ["", Text(result.check, style="bold"), table(result.differences, found, width=width, empty="")]
        if result.more:
            parts.append(f"{result.more} more are not listed.")
    return Group(*parts)


def _verdict(result: CheckResult) -> Text:
    return Text("ok", style="green") if result.ok else Text("FAILED", style="bold red")


def _place(difference: AuditDifference) -> str:
    if difference.first is None:
        return "-"
    return str(difference.first) if difference.first == difference.last else f"{difference.first}–{difference.last}"
