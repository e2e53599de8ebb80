"""How commands answer: a table for people, JSON or YAML for programs, the latter undecorated and with stable keys."""

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar
from uuid import UUID

import typer
import yaml
from pydantic_core import to_jsonable_python
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

#: Width of tables that go to a file or a pipe (characters), where there is no terminal to fit.
_UNBOUNDED = 200

R = TypeVar("R")


class OutputFormat(StrEnum):
    """What an answer looks like."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


class Answer(NamedTuple):
    """What a command has to say: ``data`` for programs, and how it is drawn for people, given a width (characters).

    ``remark`` is for people, whatever the format, and no part of the answer.
    """

    data: object
    draw: Callable[[int], RenderableType]
    remark: str = ""


@dataclass(frozen=True, kw_only=True)
class Column(Generic[R]):
    """A column of a table: what it shows of a row.

    It is left out where the table has less than ``from_width`` characters, and keeps ``least`` itself. What is
    too long is cut, or with ``wrap`` goes on in the next line.
    """

    header: str
    cell: Callable[[R], str | Text]
    from_width: int = 0
    least: int | None = None
    wrap: bool = False
    right: bool = False


def terminal() -> Console:
    """What tables are written to."""
    console = Console(highlight=False)
    if not console.is_terminal and not os.environ.get("COLUMNS"):
        console.width = _UNBOUNDED
    return console


def give(answer: Answer, output: OutputFormat) -> None:
    """Write an answer to the standard output."""
    if output is OutputFormat.TABLE:
        console = terminal()
        console.print(answer.draw(console.width))
    else:
        write(answer.data, output)
    if answer.remark:
        note(answer.remark)


def write(data: object, output: OutputFormat, *, one_of_many: bool = False) -> None:
    """Write data for programs; ``one_of_many`` puts JSON on one line and begins a new YAML document."""
    plain = to_jsonable_python(data)
    if output is OutputFormat.YAML:
        text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, explicit_start=one_of_many)
        typer.echo(text, nl=False)
    else:
        typer.echo(json.dumps(plain, indent=None if one_of_many else 2, ensure_ascii=False))


def note(text: str) -> None:
    """Tell a person something that is not part of the answer."""
    typer.echo(clean(text), err=True)


def limited(shown: int, limit: int) -> str:
    """The remark that there may be more than what is shown, if so."""
    return f"{shown} shown, there may be more: see --limit" if shown >= limit else ""


def table(rows: Sequence[R], columns: Iterable[Column[R]], *, width: int, empty: str) -> RenderableType:
    """Draw rows; ``empty`` is what is said where there are none."""
    if not rows:
        return Text(empty, style="dim")
    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    fitting = [column for column in columns if column.from_width <= width]
    for column in fitting:
        drawn.add_column(
            column.header,
            no_wrap=not column.wrap,
            overflow="fold" if column.wrap else "ellipsis",
            justify="right" if column.right else "left",
            min_width=column.least,
        )
    for row in rows:
        drawn.add_row(*(_cell(column.cell(row)) for column in fitting))
    return drawn


def facts(pairs: Iterable[tuple[str, str | Text]]) -> RenderableType:
    """Draw names with what they stand for, one a line."""
    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    drawn.add_column(no_wrap=True, style="dim")
    drawn.add_column(overflow="fold")
    for name, value in pairs:
        drawn.add_row(name, _cell(value))
    return drawn


def section(title: str, body: RenderableType) -> RenderableType:
    """Draw something under a title."""
    drawn = Table.grid()
    drawn.add_row(Text(title, style="bold"))
    drawn.add_row(Padding(body, (0, 0, 0, 2)))
    return drawn


def clean(text: str) -> str:
    """Replace what would steer a terminal or break a line: names and values come from anybody."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def _cell(value: str | Text) -> Text:
    if isinstance(value, Text):
        return value
    return Text("\n".join(clean(line) for line in value.split("\n")) if "\n" in value else clean(value))


def short_ids(ids: Iterable[UUID], *, least: int = 8, most: int = 18) -> Callable[[UUID | None], str]:
    """Give a function that shortens these ids as far as they stay apart, to ``least`` to ``most`` characters."""
    whole = {str(each) for each in ids}
    wanted = next((size for size in range(least, most) if len({each[:size] for each in whole}) == len(whole)), most)
    return lambda each: "-" if each is None else str(each)[:wanted].removesuffix("-")
