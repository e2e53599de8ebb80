"""Kafka records as intake sees them, before and after they were understood.

What is made for every record is a tuple: that takes a third of a frozen dataclass's time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

from domain.autoscaling.samples import MetricsReport
from domain.commands import ExternalCommand
from domain.pauses import PauseCommand
from domain.trace import TraceContext


@dataclass(frozen=True, slots=True, order=True)
class PartitionId:
    """One partition of one incarnation (``epoch``) of a topic; a recreated topic is another incarnation."""

    topic: str
    epoch: str
    partition: int


class ReceivedRecord(NamedTuple):
    """A record as it came: ``key`` and ``value`` raw, ``received_at`` by the worker's clock."""

    origin: PartitionId
    offset: int
    key: bytes | None
    value: bytes | None
    received_at: datetime
    headers: Sequence[tuple[str, bytes]] = ()

    @property
    def digest(self) -> str:
        """SHA-256 of key and value in hexadecimal: the same bytes give the same digest."""
        return sha256((self.key or b"") + b"\x00" + (self.value or b"")).hexdigest()


class Sender(NamedTuple):
    """Who sent a record, by its own account: CloudEvents ``source``, ``id`` and ``type``, and the ``actor``.

    ``trace`` is what the sender was doing.
    """

    source: str
    id: str
    type: str
    actor: str = ""
    trace: TraceContext | None = None


class CommandRecord(NamedTuple):
    """A record that holds a command."""

    command: ExternalCommand
    sender: Sender


class PauseRecord(NamedTuple):
    """A record that asks for effects to be held back, or to go on."""

    command: PauseCommand
    sender: Sender


class SamplesRecord(NamedTuple):
    """A record that holds metric samples."""

    report: MetricsReport
    sender: Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a record was not understood or not accepted.

    ``code`` is a word that programs may compare, ``field`` the dotted path of the part at fault (empty: the record as
    a whole) and ``value`` shows what it held, cut to 100 characters.
    """

    code: str
    reason: str
    field: str = ""
    value: str = ""
    sender: Sender | None = None


#: What a record turned out to be.
ParsedRecord = CommandRecord | PauseRecord | SamplesRecord | Refusal

#: Understands a record, or says why not; never raises for what a record holds.
RecordParser = Callable[[ReceivedRecord], ParsedRecord]
