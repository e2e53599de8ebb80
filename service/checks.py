"""What a verification comes to: checks, each with what was found against it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """An event that speaks for a finding."""

    position: int
    event_id: str
    type: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is not as it must be: ``where`` in a word, what is wrong, and the events that prove it.

    ``kind`` is a word that programs may compare, where there is more than one; ``first`` and ``last`` are positions of
    the log (``None``: it has none).
    """

    where: str
    message: str
    evidence: Sequence[Evidence] = ()
    kind: str = ""
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at: what ``holds`` if nothing was found; at most so many findings as were asked for.

    ``remark`` says what could not be looked at, such as what was deleted when its time was over; ``skipped``: nothing
    was looked at, so that nothing being found means nothing.
    """

    name: str
    holds: str
    findings: Sequence[Finding] = ()
    remark: str = ""
    skipped: bool = False

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings
