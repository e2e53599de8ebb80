"""Make-believe replicas behave as whatever runs real ones would."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

from domain import events as e
from domain.revision import Revision
from domain.routes import RouteStatus, TerminationReason
from service.demo.replica_model import ReplicaModel, ReplicaTimes

AT = datetime(2030, 1, 1, tzinfo=UTC)
DEPLOYMENT = uuid4()
ROUTES = (uuid4(), uuid4())


def scaled_out(*route_ids: UUID) -> e.ScaledOut:
    return e.ScaledOut(at=AT, route_ids=route_ids, revision_id=uuid4(), traffic_ratio=1.0)


def reported(model: ReplicaModel, now: float) -> dict[UUID, RouteStatus]:
    return {r.route_id: r.status for report in model.due(now) for r in report.reports}


def test_replicas_become_healthy_once_their_start_time_is_over() -> None:
    model = ReplicaModel(ReplicaTimes(start=2))
    model.follow(DEPLOYMENT, scaled_out(*ROUTES), now=10)

    assert model.next_due() == 12
    assert reported(model, 11.9) == {}
    assert reported(model, 12) == dict.fromkeys(ROUTES, RouteStatus.HEALTHY)
    assert model.next_due() is None


def test_replicas_of_a_broken_image_fail_to_start() -> None:
    model = ReplicaModel(ReplicaTimes(start=1, broken_images=frozenset({"broken"})))
    revision = Revision(revision_id=uuid4(), image="broken", model="m")
    model.follow(DEPLOYMENT, e.TargetRevisionSet(at=AT, revision=revision), now=0)
    model.follow(DEPLOYMENT, scaled_out(*ROUTES), now=0)

    assert reported(model, 1) == dict.fromkeys(ROUTES, RouteStatus.FAILED_TO_START)


def test_a_replica_told_to_go_before_it_started_never_becomes_healthy() -> None:
    model = ReplicaModel(ReplicaTimes(start=1, stop=5))
    model.follow(DEPLOYMENT, scaled_out(ROUTES[0]), now=0)
    terminating = e.RoutesTerminating(at=AT, route_ids=(ROUTES[0],), reason=TerminationReason.SCALE_IN)
    model.follow(DEPLOYMENT, terminating, now=0.5)

    assert reported(model, 2) == {}
    assert reported(model, 6) == {ROUTES[0]: RouteStatus.TERMINATED}


def test_a_replica_that_ended_before_it_was_to_start_never_becomes_healthy() -> None:
    """Also where the log has yet to hear of its end: a report that names what is over would be refused as a whole."""
    model = ReplicaModel(ReplicaTimes(start=2, stop=1))
    model.follow(DEPLOYMENT, scaled_out(*ROUTES), now=0)
    terminating = e.RoutesTerminating(at=AT, route_ids=(ROUTES[0],), reason=TerminationReason.SCALE_IN)
    model.follow(DEPLOYMENT, terminating, now=0)

    assert reported(model, 1) == {ROUTES[0]: RouteStatus.TERMINATED}
    assert reported(model, 2) == {ROUTES[1]: RouteStatus.HEALTHY}


def test_what_the_log_already_knows_to_be_over_is_not_reported_again() -> None:
    model = ReplicaModel(ReplicaTimes(start=1))
    model.follow(DEPLOYMENT, scaled_out(ROUTES[0]), now=0)
    over = e.RouteStatusChange(
        route_id=ROUTES[0], previous=RouteStatus.PROVISIONING, status=RouteStatus.FAILED_TO_START
    )
    model.follow(
        DEPLOYMENT,
        e.RouteStatusReported(at=AT, changes=(over,), start_failures=1, scale_out_not_before=AT),
        now=0.5,
    )

    assert reported(model, 2) == {}
