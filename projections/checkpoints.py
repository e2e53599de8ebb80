"""Copies of scratch views on the way through the log, so that a question about the past begins near its answer.

They are a cache: any of them may be deleted at any time, a damaged one is thrown away, and verification uses none.
"""

import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from domain.recorded import LoggedEvent
from projections.view import View

_PIECE: Final = 1 << 20
_ENDING: Final = ".db"
#: Of a whole file; where processors have instructions for it twice as fast as BLAKE2: 0.1 s for the views of a million
#: events.
_DIGEST: Final = sha256
#: After how long what a process left unfinished is removed (seconds).
_ABANDONED_AFTER: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointLimits:
    """How many checkpoints are kept: ``spacing`` is how far apart they are made (positions of the log).

    Of all logs and views together there are at most ``most`` (count) of ``most_bytes``. Beyond that the one goes that
    leaves the smallest gap, those of other logs and views first.
    """

    spacing: Annotated[int, Field(ge=100)] = 12_500
    most: Annotated[int, Field(ge=0, le=10_000)] = 100
    most_bytes: Annotated[int, Field(ge=0)] = 6 * 1024**3


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The views right after the event at ``position`` with the fingerprint ``event``; ``digest`` is the file's."""

    position: int
    event: str
    digest: str
    file: Path


class Checkpoints:
    """The checkpoints of these views of one log; any number of processes may use the same folder at once."""

    def __init__(self, root: Path, first: LoggedEvent, views: Sequence[View], limits: CheckpointLimits) -> None:
        self._root = root
        versions = "+".join(f"{view.name}.{view.version}" for view in views)
        self._folder = root / fingerprint(first) / versions
        self.limits = limits

    def until(self, position: int) -> Sequence[Checkpoint]:
        """Those at or before a position, the nearest first."""
        return sorted(
            (each for each in _in(self._folder) if each.position <= position), key=lambda c: c.position, reverse=True
        )

    def load(self, checkpoint: Checkpoint, target: Path) -> bool:
        """Copy a checkpoint to ``target``; ``False`` if it is gone or damaged, which is put right by removing it."""
        digest = _DIGEST()
        try:
            with checkpoint.file.open("rb") as source, target.open("wb") as copy:
                while piece := source.read(_PIECE):
                    digest.update(piece)
                    copy.write(piece)
        except FileNotFoundError:
            return False
        if digest.hexdigest() == checkpoint.digest:
            with suppress(OSError):
                os.utime(checkpoint.file)
            return True
        checkpoint.file.unlink(missing_ok=True)
        target.unlink()
        return False

    def save(self, last: LoggedEvent, source: Path) -> None:
        """Keep a copy of the database ``source``, which stands right after ``last``.

        Raises :class:`OSError` or :class:`sqlite3.Error` where there is no room.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(prefix="draft-", dir=self._folder)
        os.close(handle)
        draft = Path(name)
        try:
            with closing(sqlite3.connect(source)) as views, closing(sqlite3.connect(draft)) as copy:
                views.backup(copy)
            final = f"{last.position}-{fingerprint(last)}-{_digest(draft)}{_ENDING}"
            draft.replace(self._folder / final)
        finally:
            draft.unlink(missing_ok=True)
        self._make_room()

    def _make_room(self) -> None:
        """Remove what is beyond the limits."""
        sizes = {each.file: size for each in _below(self._root) if (size := _size(each.file)) is not None}
        mine = sorted((each for each in _in(self._folder) if each.file in sizes), key=lambda c: c.position)
        ours = {each.file for each in mine}
        others = sorted((file for file in sizes if file not in ours), key=_used_at)
        while len(sizes) > self.limits.most or sum(sizes.values()) > self.limits.most_bytes:
            file = others.pop(0) if others else mine.pop(_least_missed(mine)).file
            file.unlink(missing_ok=True)
            del sizes[file]
        for draft in self._root.glob("*/*/draft-*"):
            if time.time() - _used_at(draft) > _ABANDONED_AFTER:
                draft.unlink(missing_ok=True)


def fingerprint(logged: LoggedEvent) -> str:
    """What tells an event at its position from any other."""
    recorded = logged.recorded
    place = f"{logged.position}:{recorded.event_id}:{recorded.event.name}:"
    content = place + recorded.cause.model_dump_json() + recorded.event.model_dump_json()
    return blake2b(content.encode(), digest_size=16).hexdigest()


def _least_missed(sorted_by_position: Sequence[Checkpoint]) -> int:
    """The index of the one without which the gap between its neighbours is the smallest; the last one is kept."""
    places = [0, *(each.position for each in sorted_by_position)]
    gaps = [after - before for before, after in zip(places, places[2:], strict=False)]
    return gaps.index(min(gaps)) if gaps else 0


def _in(folder: Path) -> Iterator[Checkpoint]:
    for file in folder.glob(f"*{_ENDING}"):
        parts = file.stem.split("-")
        if len(parts) == 3 and parts[0].isdecimal():  # noqa: PLR2004 - position, event, digest
            yield Checkpoint(int(parts[0]), parts[1], parts[2], file)


def _below(root: Path) -> Iterator[Checkpoint]:
    for folder in root.glob("*/*"):
        yield from _in(folder)


def _digest(file: Path) -> str:
    digest = _DIGEST()
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return None


def _used_at(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return 0.0
