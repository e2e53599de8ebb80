"""What a check found, and how to repair it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a check ended; ``skipped``: there is nothing to check."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The outcome of one check: what was ``found`` where, and what to do about it."""

    check: str
    status: Status
    found: str
    repair: str = ""


def ok(check: str, found: str) -> Finding:
    """All is well."""
    return Finding(check=check, status=Status.OK, found=found)


def failed(check: str, found: str, repair: str) -> Finding:
    """Something is wrong; ``repair`` says what to do."""
    return Finding(check=check, status=Status.FAILED, found=found, repair=repair)


def skipped(check: str, why: str) -> Finding:
    """There is nothing to check."""
    return Finding(check=check, status=Status.SKIPPED, found=why)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long one check may take, and how far a clock may be off, both in seconds."""

    check_seconds: float = 10.0
    skew_seconds: float = 5.0


async def guarded(check: str, work: Awaitable[Sequence[Finding]]) -> Sequence[Finding]:
    """Do some checks; a value that a library cannot take and nobody has foreseen ends these, and no others."""
    try:
        return await work
    except ValueError as error:
        # Without its words, which may repeat a secret.
        found = f"the check could not be made: {type(error).__name__}"
        return [failed(check, found, "look for an odd character in the settings that this check goes by")]


async def within(
    patience: Patience, check: str, repair: str, work: Callable[[], Awaitable[Sequence[Finding]]]
) -> Sequence[Finding]:
    """Do some checks; taking too long is a finding, and so is what :func:`guarded` catches."""
    try:
        async with asyncio.timeout(patience.check_seconds):
            return await guarded(check, work())
    except TimeoutError:
        return [failed(check, f"no answer within {patience.check_seconds:g} s", repair)]


def judged_clock(check: str, ahead: float, patience: Patience, where: str) -> Finding:
    """Judge our clock, which is ``ahead`` of another one by so many seconds (less than 0: behind)."""
    found = f"our clock is {abs(ahead):.1f} s {'ahead of' if ahead >= 0 else 'behind'} {where}"
    if abs(ahead) <= patience.skew_seconds:
        return ok(check, found)
    return failed(check, found, "synchronise the clocks of both machines (NTP)")
