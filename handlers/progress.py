"""What the tries to commit a batch have come to so far."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from handlers.ports import DeadLetters
from handlers.records import PartitionId, ReceivedRecord, Refusal


@dataclass(slots=True)
class Progress:
    """What one try leaves for the next.

    ``duplicates`` are commands that turned out to have an outcome; ``unavailable`` and ``conflicts`` count failures.
    ``reads_all`` says that nothing is to be taken for new any more because it is to be created.
    """

    duplicates: set[tuple[str, str]] = field(default_factory=set)
    unavailable: int = 0
    conflicts: int = 0
    reads_all: bool = False
    _handed_over: set[tuple[PartitionId, int]] = field(default_factory=set)

    async def hand_over(self, refused: Sequence[tuple[ReceivedRecord, Refusal]], to: DeadLetters) -> None:
        """Send what no earlier try has sent, so that dead letters do not pile up while the log is away."""
        new = [each for each in refused if (each[0].origin, each[0].offset) not in self._handed_over]
        if new:
            await to.send(new)
            self._handed_over.update((record.origin, record.offset) for record, _ in new)
