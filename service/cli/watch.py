"""Showing something again and again: drawn anew in a terminal, written at each change elsewhere."""

import time
from collections.abc import Callable
from contextlib import suppress

from rich.live import Live

from service.cli.errors import ViewsMissing, ViewsUnreadable
from service.cli.output import Answer, OutputFormat, give, terminal, write


def show(ask: Callable[[], Answer], output: OutputFormat, *, watch: bool, interval: float) -> None:
    """Give an answer, and with ``watch`` ask again every ``interval`` seconds until Ctrl-C.

    Where tables go to a terminal, the last one stays in place. Elsewhere the whole answer is written at each change:
    a table, one line of JSON, or one YAML document.
    """
    if not watch:
        give(ask(), output)
        return
    with suppress(KeyboardInterrupt):
        if output is OutputFormat.TABLE and terminal().is_terminal:
            _redraw(ask, interval)
        else:
            _follow(ask, output, interval)


def _redraw(ask: Callable[[], Answer], interval: float) -> None:
    console = terminal()
    answer = ask()
    with Live(answer.draw(console.width), console=console, auto_refresh=False) as live:
        while True:
            # Also without a change: lengths of time grow.
            live.update(answer.draw(console.width), refresh=True)
            time.sleep(interval)
            answer = _ask_again(ask, answer)


def _follow(ask: Callable[[], Answer], output: OutputFormat, interval: float) -> None:
    answer = ask()
    while True:
        if output is OutputFormat.TABLE:
            give(answer, output)
        else:
            write(answer.data, output, one_of_many=True)
        before = answer
        while answer.data == before.data:
            time.sleep(interval)
            answer = _ask_again(ask, answer)


def _ask_again(ask: Callable[[], Answer], last: Answer) -> Answer:
    # Views are disposable: while they are built anew, what was last seen stays.
    try:
        return ask()
    except (ViewsMissing, ViewsUnreadable):
        return last
