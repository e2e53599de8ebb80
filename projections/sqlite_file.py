"""The file of an SQLite database that stays open for long: noticing that it was deleted, replaced or damaged.

Of other databases, and of those in memory, nothing is ever noticed.
"""

import logging
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Engine, event
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import ConnectionPoolEntry

_log = logging.getLogger(__name__)

#: What SQLite appends to the name of a database for the files that belong to it while it is open.
_BESIDE = ("-wal", "-shm")

#: Codes of SQLite for "malformed" and "not a database"; what kind of either it is stands in higher bits.
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_KIND_OF_ERROR = 0xFF

#: Under which name a connection keeps what it has open.
_OPENED = "opened_files"

#: Device and inode of the database and of each file beside it; ``None`` for one that is not there.
_Identities = Sequence[tuple[int, int] | None]


def remember_files(engine: Engine) -> None:
    """Let each new connection of an engine note which files it has open."""
    file = _file_of(engine)
    if file is None:
        return

    def remember(_connection: object, entry: ConnectionPoolEntry) -> None:
        entry.info[_OPENED] = _identities(file)

    event.listen(engine, "connect", remember)


def reopen_if_replaced(engine: Engine) -> bool:
    """Open what is there now if a file was deleted or replaced since it was opened; tells whether one was.

    Raises :class:`~sqlalchemy.exc.DatabaseError` where what is open is no database any more.
    """
    file = _file_of(engine)
    if file is None:
        return False
    with engine.connect() as connection:
        opened: _Identities = connection.info[_OPENED]
        if opened == _identities(file):
            # Pages in memory would hide for a long time what has become of the file.
            connection.exec_driver_sql("PRAGMA shrink_memory")
            connection.exec_driver_sql("PRAGMA schema_version")
            return False
    engine.dispose()
    _remove_leftovers(file, opened)
    _log.warning("%s was deleted or replaced: opened it anew", file, extra={"action": "view_file_replaced"})
    return True


def set_aside_if_damaged(engine: Engine, error: DatabaseError) -> bool:
    """Rename the database to ``*.damaged`` if ``error`` says that it is, so that an empty one takes its place.

    Tells whether it is worth to try again. Replaces what was set aside earlier; raises :class:`OSError`.
    """
    file = _file_of(engine)
    if file is None or getattr(error.orig, "sqlite_errorcode", 0) & _KIND_OF_ERROR not in _DAMAGED:
        return False
    with suppress(DatabaseError):
        if reopen_if_replaced(engine):
            # Another process was first, and the file that is there now is a new one.
            return True
    engine.dispose()
    aside = file.with_name(f"{file.name}.damaged")
    with suppress(FileNotFoundError):
        file.replace(aside)
    _remove_leftovers(file, ())
    _log.warning("%s is damaged (%s): set aside as %s", file, error.orig, aside, extra={"action": "view_file_damaged"})
    return True


def _file_of(engine: Engine) -> Path | None:
    url = engine.url
    if url.get_backend_name() != "sqlite" or url.database in {None, "", ":memory:"} or "uri" in url.query:
        return None
    return Path(str(url.database)).resolve()


def _identities(file: Path) -> _Identities:
    return [_identity(path) for path in (file, *_beside(file))]


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        stat = file.stat()
    except FileNotFoundError:
        return None
    return stat.st_dev, stat.st_ino


def _remove_leftovers(file: Path, opened: _Identities) -> None:
    """Remove what belonged to a database that is gone: SQLite would take it for a part of the next one."""
    database = _identity(file)
    for path in _beside(file):
        if database is None or (database not in opened and _identity(path) in opened):
            path.unlink(missing_ok=True)


def _beside(file: Path) -> Sequence[Path]:
    return [file.with_name(file.name + ending) for ending in _BESIDE]
