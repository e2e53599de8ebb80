"""A deployment among workers that die and a proxy that answers late or never, as rules of a state machine."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from domain import commands as c
from domain import events as e
from domain.deployment import Lifecycle
from domain.failures import FailureKind
from domain.operations import Operation
from tests.domain.histories import DEPLOYMENT
from tests.domain.random_commands import REGISTERED
from tests.domain.simulation import CALL_SECONDS, SETTLE_SECONDS, Simulation

#: Operations that can fail, other than by a call that is in flight.
FALLIBLE = {Operation.CHECK_PENDING, Operation.CHECK_READY, Operation.SCALE, Operation.DESTROY}
MAX_STEPS_TO_REST = 25


@dataclass(frozen=True)
class Call:
    """A create call in flight; ``lands_at`` is when the proxy acts on it, if ever."""

    deadline: datetime
    lands_at: datetime | None


class UnreliableWorld(RuleBasedStateMachine):
    """Whatever a proxy, a network and workers may do; in the end everything works, and the deployment must get on."""

    def __init__(self) -> None:
        super().__init__()
        self.world = Simulation()
        self.call: Call | None = None

    @rule(seconds=st.sampled_from([0.5, 5.0, 20.0, 31.0, 61.0, 301.0, 4000.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.wait(seconds)

    def _worker_may_register(self) -> bool:
        in_flight = self.world.deployment.endpoint.registration
        return self.call is None and (in_flight is None or self.world.now >= in_flight.deadline)

    @precondition(_worker_may_register)
    @rule(lands_after=st.none() | st.floats(min_value=0.0, max_value=SETTLE_SECONDS))
    def worker_sends_create(self, lands_after: float | None) -> None:
        now = self.world.now
        deadline, settles_at = now + timedelta(seconds=CALL_SECONDS), now + timedelta(seconds=SETTLE_SECONDS)
        start = c.StartEndpointRegistration(deployment_id=DEPLOYMENT, deadline=deadline, settles_at=settles_at)
        if not self.world.offer(start):
            return
        lands_at = None if lands_after is None else now + timedelta(seconds=lands_after)
        self.call = Call(deadline=deadline, lands_at=lands_at)
        if lands_at is not None:
            self.world.proxy.landings.append(lands_at)

    @precondition(lambda self: self.call is not None and self.world.now < self.call.deadline)
    @rule(kind=st.sampled_from([None, FailureKind.TRANSIENT, FailureKind.PERMANENT]))
    def proxy_answers(self, kind: FailureKind | None) -> None:
        assert self.call is not None
        proxy = self.world.proxy
        if self.call.lands_at in proxy.landings:
            proxy.landings.remove(self.call.lands_at)
        landed = self.call.lands_at is not None and self.call.lands_at <= self.world.now
        self.call = None
        if kind is None or landed:
            proxy.exists = True
            self.world.offer(REGISTERED)
        else:
            self._fail(Operation.CHECK_PENDING, kind, 10.0)

    @precondition(lambda self: self.call is not None)
    @rule()
    def call_times_out(self) -> None:
        assert self.call is not None
        self.call = None
        self._fail(Operation.CHECK_PENDING, FailureKind.UNKNOWN, 10.0)

    @precondition(lambda self: self.call is not None)
    @rule()
    def worker_dies_in_the_call(self) -> None:
        self.call = None

    @precondition(lambda self: self.call is None and self.world.deployment.lifecycle is Lifecycle.DESTROYING)
    @rule(seconds=st.sampled_from([0.0, 1.0, 60.0]))
    def proxy_confirms_delete(self, seconds: float) -> None:
        sent = self.world.now
        self.world.proxy.exists = False
        self.world.wait(seconds)
        self.world.ask(c.RecordEndpointUnregistered(deployment_id=DEPLOYMENT, sent_at=sent))

    @precondition(lambda self: self.call is None)
    @rule()
    def work_succeeds(self) -> None:
        work = self.world.work()
        if work is not None:
            self.world.wait_until(work.due_at)
            assert self.world.do(work.operation), f"{work.operation} was due and led to nothing"

    @precondition(lambda self: self.call is None)
    @rule(kind=st.sampled_from(FailureKind), seconds=st.sampled_from([1.0, 10.0, 600.0]))
    def work_fails(self, kind: FailureKind, seconds: float) -> None:
        work = self.world.work()
        if work is not None and work.operation in FALLIBLE:
            self.world.wait_until(work.due_at)
            self._fail(work.operation, kind, seconds)

    def _fail(self, operation: Operation, kind: FailureKind, seconds: float) -> None:
        next_attempt_at = self.world.now + timedelta(seconds=seconds)
        events = self.world.fail(operation, kind, next_attempt_at)
        work = self.world.work()
        if work is not None and not any(isinstance(event, e.EndpointAbandoned) for event in events):
            assert work.operation is not operation or work.due_at >= next_attempt_at, "repeated before its time"

    def teardown(self) -> None:
        if self.world.state is not None:
            self.world.settle(MAX_STEPS_TO_REST)
