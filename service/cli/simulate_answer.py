"""What a simulation is told and drawn like."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Final
from uuid import UUID

from rich.console import Group, RenderableType
from rich.text import Text

from domain.autoscaling.decision import DecisionReason
from domain.autoscaling.metric import MetricRule
from domain.autoscaling.rules import ScalingPolicy
from domain.simulation.course import Counts
from domain.simulation.difference import Fields
from domain.simulation.measures import Measures, measures_of
from domain.simulation.model import SimulationModel
from domain.simulation.recorded import SampleArrival
from domain.simulation.simulate import Simulated
from service.cli.moments import shown
from service.cli.output import Column, clean, section, table
from service.cli.plots import Plot, Series

#: What the course of events is called that really happened.
RECORDED: Final = "recorded"

#: Most differences that are told of one course (count); how many there are is always told.
_TOLD: Final = 20


@dataclass(frozen=True, slots=True)
class Course:
    """A course of events under its name."""

    name: str
    simulated: Simulated


@dataclass(frozen=True, slots=True)
class ToldDecision:
    """A decision that changed the number of replicas, or gave another reason not to."""

    at: datetime
    previous: int
    desired: int
    reason: DecisionReason


@dataclass(frozen=True, slots=True)
class ToldDifference:
    """Where the recorded rules come to something else than is recorded: the fields that differ, by their paths."""

    at: datetime
    what: str
    recorded: Fields
    simulated: Fields


@dataclass(frozen=True, slots=True)
class ToldCourse:
    """A course of events in numbers; from ``modelled_from`` on it is a model (``None``: nowhere).

    ``unchecked_count``: recorded decisions that were not made again, as they were evaluated before the beginning.
    """

    name: str
    measures: Measures
    modelled_from: datetime | None
    unchecked_count: int
    difference_count: int
    differences: Sequence[ToldDifference]
    counts: Sequence[Counts]
    decisions: Sequence[ToldDecision]


@dataclass(frozen=True, slots=True)
class ToldSimulation:
    """The whole answer; ``assumptions`` and ``warnings`` are sentences for people."""

    deployment_id: UUID | None
    since: datetime
    until: datetime
    model: SimulationModel
    assumptions: Sequence[str]
    warnings: Sequence[str]
    flap_seconds: float
    courses: Sequence[ToldCourse]


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """Courses of events over the same samples."""

    deployment_id: UUID | None
    since: datetime
    until: datetime
    arrivals: Sequence[SampleArrival]
    courses: Sequence[Course]
    policies: Mapping[str, ScalingPolicy]
    model: SimulationModel
    flap_seconds: float = 600.0
    warnings: Sequence[str] = ()

    def told(self) -> ToldSimulation:
        """Everything for programs."""
        courses = [self._told(course) for course in self.courses]
        modelled = any(course.modelled_from is not None for course in courses)
        assumptions = ("This is a model.", *self.model.described()) if modelled else ()
        return ToldSimulation(
            self.deployment_id,
            self.since,
            self.until,
            self.model,
            assumptions,
            self.warnings,
            self.flap_seconds,
            courses,
        )

    def _told(self, course: Course) -> ToldCourse:
        simulated = course.simulated
        recorded_until = simulated.as_recorded_until
        return ToldCourse(
            name=course.name,
            measures=measures_of(simulated.course, self.until, flap_seconds=self.flap_seconds),
            modelled_from=recorded_until if recorded_until < self.until else None,
            unchecked_count=simulated.unchecked,
            difference_count=len(simulated.differences),
            differences=[ToldDifference(*difference) for difference in simulated.differences[:_TOLD]],
            counts=simulated.course.counts,
            decisions=[
                ToldDecision(taken.at, taken.decision.previous, taken.decision.desired, taken.decision.reason)
                for taken in simulated.course.decisions
            ],
        )


_Row = tuple[str, str]
_ROWS: Final[Sequence[_Row]] = (
    ("Replica-hours", "replica_hours"),
    ("Above target (s)", "above_target_seconds"),
    ("Not measured (s)", "unmeasured_seconds"),
    ("Scalings", "scalings"),
    ("Flaps", "flaps"),
    ("Largest step", "largest_step"),
    ("At maximum (s)", "at_max_seconds"),
    ("Most wanted", "highest"),
    ("Fewest wanted", "lowest"),
    ("Evaluations", "evaluations"),
)


def drawn(told: ToldSimulation, width: int) -> RenderableType:
    """Draw the numbers of all courses side by side."""
    columns: list[Column[_Row]] = [Column(header="", cell=lambda row: row[0])]
    columns += [Column(header=clean(course.name), cell=_cell_of(course), right=True) for course in told.courses]
    of = f" of {told.deployment_id}" if told.deployment_id else ""
    title = f"Simulation{of} from {shown(told.since)} to {shown(told.until)} UTC"
    parts: list[RenderableType] = [section(title, table(_ROWS, columns, width=width - 2, empty=""))]
    if remarks := remarks_on(told):
        parts += ["", Text("\n".join(clean(remark) for remark in remarks), style="dim")]
    return Group(*parts)


def _cell_of(course: ToldCourse) -> Callable[[_Row], str]:
    return lambda row: f"{getattr(course.measures, row[1]):.10g}"


def remarks_on(told: ToldSimulation) -> Sequence[str]:
    """What has to be known about the numbers."""
    remarks = []
    for course in told.courses:
        if course.modelled_from is not None:
            remarks.append(f"{course.name}: simulated from {shown(course.modelled_from)} on.")
        elif course.difference_count:
            remarks.append(f"{course.name}: {course.difference_count} differences from what is recorded:")
            remarks += [f"  {_in_words(difference)}" for difference in course.differences]
        else:
            remarks.append(f"{course.name}: {_confirmed(course)}")
    return [*remarks, *told.assumptions]


def _in_words(difference: ToldDifference) -> str:
    recorded, simulated = (_as_json(fields) for fields in (difference.recorded, difference.simulated))
    return f"{shown(difference.at)} {difference.what}: recorded {recorded}, but {simulated}"


def _as_json(fields: Fields) -> str:
    return json.dumps(fields, ensure_ascii=False) if fields else "nothing"


def _confirmed(course: ToldCourse) -> str:
    """What has been shown where nothing differs."""
    made_again = len(course.decisions) - course.unchecked_count
    if not course.unchecked_count:
        return "every recorded decision was made again, the same." if made_again else "no decision is recorded."
    not_again = "was evaluated before the beginning and not made again"
    if not made_again:
        return f"the only recorded decision {not_again}."
    return f"every recorded decision was made again, the same, but for the first, which {not_again}."


def title_of(found: Simulation) -> str:
    """What is drawn."""
    return f"Scaling of {found.deployment_id}, simulated" if found.deployment_id else "Scaling, simulated"


def plots_of(found: Simulation) -> Sequence[Plot]:
    """The wanted replicas of all courses, over the metric that the first rule looks at."""
    wanted = [
        Series(name=label, points=[(counts.at, float(counts.desired)) for counts in course.simulated.course.counts])
        for label, course in zip(_labels([course.name for course in found.courses]), found.courses, strict=True)
    ]
    replicas = Plot(title="replicas wanted", unit="replicas", begin=found.since, end=found.until, series=wanted)
    return [replicas, *_metric_plot(found)]


def _labels(names: Sequence[str]) -> Sequence[str]:
    """File names where these tell the courses apart, else as much of the paths as does; no name is there twice."""
    parts = [Path(name).parts for name in names]
    tails = (["/".join(each[-length:]) for each in parts] for length in count(1))
    return next(labels for labels in tails if len(set(labels)) == len(labels))


def _metric_plot(found: Simulation) -> Sequence[Plot]:
    """Of a metric that routes report apart, the mean of those that reported together."""
    keys = [
        (rule.source, rule.metric)
        for policy in found.policies.values()
        for rule in policy.rules
        if isinstance(rule, MetricRule)
    ]
    keys += [(sample.source, sample.metric) for arrival in found.arrivals[:1] for sample in arrival.samples]
    points = []
    for arrival in found.arrivals:
        values = [sample.value for sample in arrival.samples if (sample.source, sample.metric) == keys[0]]
        if values and found.since <= arrival.at < found.until:
            points.append((arrival.at, sum(values) / len(values)))
    if not points:
        return []
    name = keys[0][1]
    series = [Series(name=name, points=points, steps=False)]
    return [Plot(title=name, unit=name, begin=found.since, end=found.until, series=series)]
