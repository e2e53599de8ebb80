"""The queue of who is due when."""

from datetime import timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from handlers.due_queue import DueQueue
from tests.executor_doubles import NOW

A, B, C = (UUID(int=number) for number in (1, 2, 3))


def after(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def test_who_is_due_longest_comes_first_and_who_is_not_due_stays() -> None:
    queue = DueQueue()
    for key, seconds in ((A, 2), (B, 1), (C, 9)):
        queue.put(key, NOW + after(seconds))

    assert queue.take(NOW + after(5), 10, skip=()) == [B, A]
    assert (len(queue), queue.earliest()) == (1, NOW + after(9))


def test_no_more_are_given_than_were_asked_for() -> None:
    queue = DueQueue()
    for key in (A, B, C):
        queue.put(key, NOW)

    assert len(queue.take(NOW, 2, skip=())) == 2
    assert len(queue.take(NOW, 2, skip=())) == 1


def test_a_deployment_put_anew_is_due_at_its_last_moment_only() -> None:
    queue = DueQueue()
    queue.put(A, NOW)
    queue.put(A, NOW + after(5))
    assert queue.take(NOW + after(4), 10, skip=()) == []

    queue.put(A, NOW + after(1))
    assert queue.take(NOW + after(9), 10, skip=()) == [A]
    assert queue.take(NOW + after(9), 10, skip=()) == []


def test_a_deployment_put_at_no_time_is_not_due_at_all() -> None:
    queue = DueQueue()
    queue.put(A, NOW)
    queue.put(A, None)

    assert queue.earliest() is None
    assert A not in queue


def test_bringing_forward_never_puts_off() -> None:
    queue = DueQueue()
    queue.bring_forward(A, NOW + after(5))
    queue.bring_forward(A, NOW + after(9))
    assert queue.earliest() == NOW + after(5)

    queue.bring_forward(A, NOW + after(1))
    assert queue.earliest() == NOW + after(1)


def test_who_is_busy_leaves_the_queue_without_being_given() -> None:
    queue = DueQueue()
    queue.put(A, NOW)
    queue.put(B, NOW)

    assert queue.take(NOW, 10, skip={A}) == [B]
    assert A not in queue


def test_memory_follows_the_number_of_deployments_not_of_changes() -> None:
    queue = DueQueue()
    for seconds in range(20_000):
        queue.put(A, NOW + after(seconds))
        queue.put(B, NOW + after(3600 if seconds % 2 else 1))

    assert len(queue._heap) <= 1_000 + 2 * len(queue)
    assert queue.earliest() == NOW + after(3600)


puts = st.lists(st.tuples(st.sampled_from([A, B, C]), st.none() | st.integers(0, 20)), max_size=30)


@given(puts, st.integers(0, 20))
def test_it_gives_what_a_plain_dictionary_would(puts: list[tuple[UUID, int | None]], now: int) -> None:
    queue, plain = DueQueue(), dict[UUID, int]()
    for key, seconds in puts:
        queue.put(key, None if seconds is None else NOW + after(seconds))
        plain.pop(key, None)
        if seconds is not None:
            plain[key] = seconds

    assert sorted(queue.take(NOW + after(now), 10, skip=())) == sorted(k for k, due in plain.items() if due <= now)
    assert len(queue) == sum(due > now for due in plain.values())
