"""What the decider tells whoever listens, each time that something has become true."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from domain.deployment import Deployment
from domain.recorded import RecordedEvent
from handlers.ports import SampleReport
from handlers.records import PartitionId, ReceivedRecord, Refusal
from handlers.submission import Submission


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What has become true: the deployments that changed, and the samples that were received.

    ``position`` is that of the last event in the log (0: this commit held none). The rest is what led there: what was
    submitted, which records of it were ``refused``, and the ``events`` of deployments.
    """

    states: Sequence[Deployment]
    samples: Sequence[SampleReport]
    position: int
    submissions: Sequence[Submission] = ()
    refused: Mapping[PartitionId, Sequence[tuple[ReceivedRecord, Refusal]]] = field(default_factory=dict)
    events: Sequence[RecordedEvent] = ()


#: Is told of every commit, in their order.
CommitListener = Callable[[Commit], None]
