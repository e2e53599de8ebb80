"""Which faults are injected, how often, and by which seed."""

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class Faults:
    """Probabilities (ratio) of each fault where it can happen, and numbers of those that come over time (count).

    The crashes kill the worker on the spot; ``answer_lost`` is a commit that took effect but whose answer did not come.
    ``redelivery`` repeats offsets, ``resend`` repeats commands at new offsets, ``foreign`` sends them to another
    partition. ``effect_then_error`` is a proxy that acts and then fails, ``late_effect`` one that acts when its client
    may have given up. ``kills``, ``rebalances``, ``shared`` (both workers believe to own everything), ``outages`` of
    the log and ``clock_jumps`` happen at any moment.
    """

    crash_before_append: float = 0
    crash_after_append: float = 0
    crash_before_call: float = 0
    crash_after_call: float = 0
    answer_lost: float = 0
    append_away: float = 0
    dead_letters_away: float = 0
    kafka_commit_fails: float = 0
    redelivery: float = 0
    resend: float = 0
    foreign: float = 0
    poison: float = 0
    busy: float = 0
    error_no_effect: float = 0
    effect_then_error: float = 0
    late_effect: float = 0
    kills: int = 0
    rebalances: int = 0
    shared: int = 0
    outages: int = 0
    clock_jumps: int = 0


@dataclass
class Plan:
    """Decides by a seed what happens; ``injected`` counts what did. After :meth:`calm` nothing bad happens any more."""

    seed: int
    faults: Faults
    injected: Counter[str] = field(default_factory=Counter)
    is_calm: bool = False

    def __post_init__(self) -> None:
        self.random = Random(self.seed)

    def strikes(self, fault: str) -> bool:
        """Whether this fault happens now."""
        probability: float = getattr(self.faults, fault)
        if self.is_calm or not probability or self.random.random() >= probability:
            return False
        self.injected[fault] += 1
        return True

    def calm(self) -> None:
        """Let nothing bad happen from now on."""
        self.is_calm = True

    def new_id(self) -> UUID:
        """An id that depends on the seed alone."""
        return UUID(int=self.random.getrandbits(128), version=4)
