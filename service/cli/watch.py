"""Showing something again and again: drawn anew in a terminal, written at each change elsewhere."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

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
    with suppress(KeyboardInterrupt), _interruptible() as wait:
        if output is OutputFormat.TABLE and terminal().is_terminal:
            _redraw(ask, lambda: wait(interval))
        else:
            _follow(ask, output, lambda: wait(interval))


@contextmanager
def _interruptible() -> Iterator[Callable[[float], None]]:
    """Give a way to sleep (seconds) that ends the watch for certain once Ctrl-C was pressed."""
    # An exception that comes while something is being disposed of is only told on standard error, and lost.
    is_interrupted = False

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal is_interrupted
        is_interrupted = True
        raise KeyboardInterrupt

    def wait(seconds: float) -> None:
        if is_interrupted:
            raise KeyboardInterrupt
        time.sleep(seconds)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield wait
    finally:
        signal.signal(signal.SIGINT, before)


def _redraw(ask: Callable[[], Answer], wait: Callable[[], None]) -> None:
    console = terminal()
    answer = ask()
    with Live(answer.draw(console.width), console=console, auto_refresh=False) as live:
        while True:
            # Also without a change: lengths of time grow.
            live.update(answer.draw(console.width), refresh=True)
            wait()
            answer = _ask_again(ask, answer)


def _follow(ask: Callable[[], Answer], output: OutputFormat, wait: Callable[[], None]) -> None:
    answer = ask()
    while True:
        if output is OutputFormat.TABLE:
            give(answer, output)
        else:
            write(answer.data, output, one_of_many=True)
        before = answer
        while answer.data == before.data:
            wait()
            answer = _ask_again(ask, answer)


def _ask_again(ask: Callable[[], Answer], last: Answer) -> Answer:
    # Views are disposable: while they are built anew, what was last seen stays.
    try:
        return ask()
    except (ViewsMissing, ViewsUnreadable):
        return last
