"""Whole lives of workers under injected faults, in virtual time, from seeds that always give the same lives.

The same oracle follows each: the log replays to what is in memory, versions are contiguous, every command has exactly
one outcome, every refused record is written once, and the proxy holds exactly the endpoints that should be there.
``ROUTEKEEPER_STORM_SEEDS`` makes the last test as long as one likes, ``ROUTEKEEPER_STORM_FIRST_SEED`` another one.
"""

import asyncio
import logging
import os
from collections.abc import Iterator
from uuid import UUID

import pytest

from domain.commands import SetReplicaCount
from domain.deployment import Lifecycle
from tests.handlers.fault_load import create
from tests.handlers.fault_oracle import check
from tests.handlers.fault_plan import Faults, Plan
from tests.handlers.fault_storm import storm
from tests.handlers.fault_world import World
from tests.handlers.virtual_time import NobodyWakes, simulate

SEEDS = range(8)
FIRST_SEED = int(os.environ.get("ROUTEKEEPER_STORM_FIRST_SEED", "1000"))
LAST_SEEDS = range(FIRST_SEED, FIRST_SEED + int(os.environ.get("ROUTEKEEPER_STORM_SEEDS", "60")))

ALL_FAULTS = Faults(
    crash_before_append=0.01,
    crash_after_append=0.01,
    crash_before_call=0.05,
    crash_after_call=0.05,
    answer_lost=0.05,
    append_away=0.05,
    dead_letters_away=0.1,
    kafka_commit_fails=0.1,
    redelivery=0.1,
    resend=0.2,
    foreign=0.1,
    poison=0.3,
    busy=0.1,
    error_no_effect=0.1,
    effect_then_error=0.1,
    late_effect=0.15,
    kills=2,
    rebalances=3,
    outages=1,
)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Thousands of warnings about injected faults would only cost time."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_without_faults_everything_comes_to_its_end() -> None:
    assert storm(SEEDS, Faults()) == {}


def test_fault_01_crash_before_the_append_and_the_record_comes_again() -> None:
    struck = storm(SEEDS, Faults(crash_before_append=0.04))

    assert struck["crash_before_append"] > len(SEEDS)


def test_fault_02_crash_after_the_commit_before_kafkas_commit_and_there_is_no_second_event() -> None:
    struck = storm(SEEDS, Faults(crash_after_append=0.04))

    assert struck["crash_after_append"] > len(SEEDS)


def test_fault_03_crash_around_the_proxy_call_and_there_is_one_endpoint() -> None:
    """Before the call, and after it took effect but before its result was recorded."""
    struck = storm(SEEDS, Faults(crash_before_call=0.15, crash_after_call=0.3))

    assert struck["crash_after_call"] > len(SEEDS)


def test_fault_04_same_offset_delivered_twice() -> None:
    struck = storm(SEEDS, Faults(redelivery=0.3, poison=0.3, kills=1))

    assert struck["redelivery"] > len(SEEDS)


def test_fault_05_same_command_at_a_new_offset_has_one_outcome() -> None:
    struck = storm(SEEDS, Faults(resend=0.4, kills=1))

    assert struck["resend"] > len(SEEDS)


def test_fault_06_records_of_one_deployment_in_several_partitions() -> None:
    """Within each partition their order is kept, and whoever reads them writes to one history."""
    struck = storm(SEEDS, Faults(foreign=0.4, resend=0.2))

    assert struck["foreign"] > len(SEEDS)


def test_fault_06_what_a_record_in_a_foreign_partition_changed_is_acted_on_by_the_owner() -> None:
    """The owner has an older state in memory and hears of the change from the log alone."""
    deployment = UUID(int=1000)

    async def scenario(world: World) -> None:
        world.load.send(create(deployment, 1))
        await asyncio.sleep(60)
        assert world.states[deployment].lifecycle is Lifecycle.READY
        world.load.send(SetReplicaCount(deployment_id=deployment, replica_count=3), shift=1)
        await asyncio.sleep(60)
        assert world.states[deployment].active_count == 3

    async def one() -> None:
        world = World(Plan(0, Faults()))
        try:
            await world.run(scenario)
            await check(world)
        finally:
            world.close()

    simulate(one())


def test_fault_07_rebalance_in_the_middle_of_work_while_the_old_owner_goes_on_writing() -> None:
    struck = storm(SEEDS, Faults(rebalances=6, late_effect=0.1))

    assert struck["rebalance"] == 6 * len(SEEDS)


def test_fault_08_kafkas_commit_fails_and_progress_comes_from_the_database() -> None:
    """Kafka is never asked how far anybody has read, so its commit failing every time changes nothing."""
    struck = storm(SEEDS, Faults(kafka_commit_fails=1.0, kills=3, rebalances=2))

    assert struck["kafka_commit_fails"] > len(SEEDS)


def test_fault_09_poison_is_written_down_with_its_reason_and_its_partition_advances() -> None:
    struck = storm(SEEDS, Faults(poison=1.0, dead_letters_away=0.2, kills=1))

    assert struck["poison"] > len(SEEDS)


def test_fault_13_the_log_is_away_for_a_while_and_nothing_is_lost() -> None:
    struck = storm(SEEDS, Faults(outages=3, append_away=0.1))

    assert struck["outage"] == 3 * len(SEEDS)


def test_fault_14_the_commit_was_sent_and_its_answer_lost() -> None:
    struck = storm(SEEDS, Faults(answer_lost=0.15))

    assert struck["answer_lost"] > len(SEEDS)


def test_fault_16_two_writers_for_the_same_deployments() -> None:
    """Both read the same partitions and act for the same deployments until the storm is over."""
    struck = storm(SEEDS, Faults(shared=1, kills=1, busy=0.1))

    assert struck["share"] == len(SEEDS)


def test_fault_17_the_proxy_is_busy_breaks_or_acts_late() -> None:
    """Also where it acts after its client gave up, perhaps after a destruction has begun, no endpoint is left over."""
    struck = storm(SEEDS, Faults(busy=0.3, error_no_effect=0.2, effect_then_error=0.3, late_effect=0.4))

    assert struck["late_effect"] > len(SEEDS)


def test_fault_19_a_workers_clock_jumps_an_hour_either_way() -> None:
    struck = storm(SEEDS, Faults(clock_jumps=4, kills=1, busy=0.2))

    assert struck["clock_jump"] == 4 * len(SEEDS)


@pytest.mark.parametrize("seeds", [LAST_SEEDS[n : n + 10] for n in range(0, len(LAST_SEEDS), 10)], ids=str)
def test_all_faults_together_in_whatever_combination_the_seeds_come_up_with(seeds: range) -> None:
    struck = storm(seeds, ALL_FAULTS)

    assert len(struck) > 10


def test_a_simulation_in_which_nobody_is_ever_woken_ends_with_an_error() -> None:
    """The harness itself: a lost wake-up is not waited for."""

    async def waits_in_vain() -> None:
        await asyncio.Event().wait()

    with pytest.raises(NobodyWakes):
        simulate(waits_in_vain())
