from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from domain import commands as c
from domain.routes import RouteStatus
from tests.domain.random_commands import CREATIONS, DESTRUCTIONS, EXTERNAL, OUT_OF_DATE, sent_at
from tests.domain.unreliable_world import UnreliableWorld

#: A life that ends sooner than after so many events has little to show.
MIN_EVENTS_BEFORE_THE_END = 12


class AnyHistory(UnreliableWorld):
    """Whatever is asked, fails, dies and comes late, in any order: the invariants hold and the deployment gets on."""

    @initialize(command=CREATIONS, steps=st.sampled_from([7, 5, 3, 1, 0]))
    def create(self, command: c.CreateDeployment, steps: int) -> None:
        self.world.ask(command)
        for _ in range(steps):
            self.work_succeeds()
            self.world.obey()

    @rule(command=EXTERNAL)
    def somebody_asks(self, command: c.AnyCommand) -> None:
        self.world.offer(sent_at(command, self.world.now))

    @precondition(lambda self: len(self.world.history) >= MIN_EVENTS_BEFORE_THE_END)
    @rule(command=DESTRUCTIONS)
    def somebody_destroys(self, command: c.DestroyDeployment) -> None:
        self.world.offer(command)

    @rule(command=OUT_OF_DATE)
    def something_comes_back_late(self, command: c.AnyCommand) -> None:
        self.world.offer(sent_at(command, self.world.now))

    @precondition(lambda self: self.world.deployment.routes)
    @rule(data=st.data())
    def runtime_reports(self, data: st.DataObject) -> None:
        routes = st.sampled_from(sorted(self.world.deployment.routes))
        self.world.report(data.draw(st.dictionaries(routes, st.sampled_from(RouteStatus), min_size=1, max_size=4)))

    @rule()
    def runtime_obeys(self) -> None:
        self.world.obey()


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=60, stateful_step_count=40)
