"""What the decider tells whoever listens, each time that something has become true."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from domain.deployment import Deployment
from handlers.ports import SampleReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What has become true: the deployments that changed, and the samples that were received.

    ``position`` is that of the last event in the log (0: this commit held none).
    """

    states: Sequence[Deployment]
    samples: Sequence[SampleReport]
    position: int


#: Is told of every commit, in their order.
CommitListener = Callable[[Commit], None]
