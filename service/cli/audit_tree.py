"""Reading the log's tree on the command line, and telling how far one has come."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from adapters.event_store.tree_store import TreeStore
from service.cli.errors import LogMissing
from service.cli.reading import nothing_yet
from service.settings import Settings
from service.stores import StoreMissing, stores_of


@contextmanager
def reading_tree(settings: Settings) -> Iterator[TreeStore]:
    """Open the log's tree so that nothing is written. Raises :class:`LogMissing`, and what the database raises."""
    stores = stores_of(settings)
    try:
        tree = stores.read_tree()
    except StoreMissing:
        raise LogMissing(nothing_yet("event log", stores.log_place)) from None
    with closing(tree):
        yield tree


@contextmanager
def bars() -> Iterator[Progress]:
    """Bars on the standard error, if that is a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress


@contextmanager
def told(what: str) -> Iterator[Callable[[int, int], None]]:
    """One bar: is told that so many of so many steps are done (counts)."""
    with bars() as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, of: progress.update(task, completed=done, total=of)
