"""``routekeeper simulate``: what other scaling rules would have done."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

import typer

from domain.autoscaling.rules import ScalingPolicy
from domain.errors import CommandRejected
from domain.simulation.model import SimulationModel
from domain.simulation.recorded import SampleArrival
from domain.simulation.simulate import Simulated, ends_at, reenacted, tried, tried_before_deploying
from domain.simulation.trial import TrialLimits
from handlers.recorded_past import PastLimits, read_past
from service.cli import simulate_options as options
from service.cli.errors import RulesRefused
from service.cli.model_files import read_model
from service.cli.moments import now, shown
from service.cli.options import Output
from service.cli.output import Answer, OutputFormat, give, note
from service.cli.plot_page import write_page
from service.cli.plot_text import print_plots
from service.cli.plots import check_pictures, write_png
from service.cli.reading import deployment_id, reading_log
from service.cli.simulate_answer import (
    RECORDED,
    Course,
    Simulation,
    drawn,
    plots_of,
    remarks_on,
    title_of,
)
from service.cli.simulate_missing import without_samples
from service.cli.simulate_samples import SampleSource, arrivals_of
from service.settings import Settings, load_settings

_MODEL = SimulationModel()
_LIMITS = PastLimits()


def simulate(  # noqa: PLR0913 - each is an option, given by its name
    *,
    deployment: options.Deployment = None,
    rules: options.Rules = None,
    since: options.From = None,
    until: options.To = None,
    samples: options.Samples = None,
    prometheus: options.Prometheus = None,
    query: options.Query = None,
    step: options.Step = 15.0,
    replicas: options.Replicas = None,
    start_up: options.StartUp = _MODEL.start_up_seconds,
    capacity: options.Capacity = None,
    flap_window: options.FlapWindow = 600.0,
    max_reports: options.MaxReports = _LIMITS.reports,
    html: options.Html = None,
    png: options.Png = None,
    plot: options.ShowPlot = False,
    as_json: options.Json = False,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Say what other scaling rules would have done, beside what happened.

    The rules are evaluated by the same engine as live, with a virtual clock over the recorded samples. The recorded
    rules themselves have to come to the recorded decisions: where they do not, that is said, and the exit code is 1.

    Where the rules are others than the recorded ones, replicas follow a model, which the answer states.
    """
    settings, output = load_settings(), OutputFormat.JSON if as_json else output
    if plot and output is not OutputFormat.TABLE:
        raise typer.BadParameter("--plot would stand in the middle of what is for programs: give --html or --png")
    if png is not None:
        check_pictures()
    policies = _policies(rules or [])
    model = SimulationModel(start_up_seconds=start_up, capacity_per_replica=capacity)
    simulator = _Simulator(settings, policies, model, max_reports)
    source = SampleSource(file=samples, prometheus=prometheus, queries=query or (), step_seconds=step)
    if deployment is not None and (source.is_given or replicas is not None):
        raise typer.BadParameter("--samples, --prometheus and --replicas are for where there is no --deployment")
    if deployment is not None:
        if since is None:
            raise typer.BadParameter("--from has to be given with --deployment")
        found = simulator.beside_what_happened(deployment, since, until or now())
    else:
        found = simulator.before_deploying(source, since, until, 1 if replicas is None else replicas)
    found = replace(found, flap_seconds=flap_window)
    data = found.told()
    for warning in data.warnings:
        note(f"warning: {warning}")
    give(Answer(data, partial(drawn, data)), output)
    plots = plots_of(found)
    if plot:
        print_plots(plots)
    if png is not None:
        write_png(plots, png)
    if html is not None:
        write_page(html, title_of(found), plots, remarks_on(data))
    if any(course.differences for course in data.courses):
        note("error: the recorded rules do not come to what is recorded: see the differences in the answer")
        raise typer.Exit(1)


class _Simulator:
    def __init__(
        self, settings: Settings, policies: Mapping[str, ScalingPolicy], model: SimulationModel, most: int
    ) -> None:
        self._settings = settings
        self._policies = policies
        self._model = model
        self._most = most
        self._limits = TrialLimits(
            decisions=settings.decisions,
            window_samples=settings.scaling_memory.window_samples,
            debounce_seconds=settings.reconciler.debounce_seconds,
            evaluations=10 * most,
        )

    def beside_what_happened(self, deployment: str, since: datetime, until: datetime) -> Simulation:
        """Simulate on what is recorded of a deployment."""
        _check_span(since, until)
        key = deployment_id(self._settings, deployment)
        wanted = list(self._policies.values())
        most = PastLimits(reports=self._most, evaluations=self._most)
        with reading_log(self._settings) as log:
            past = asyncio.run(read_past(log, key, since, until, policies=wanted, limits=most))
        warnings = [*without_samples(self._policies, past.arrivals, needs_some=False)]
        if (end := ends_at(past, since, until)) < until:
            warnings.append(f"the simulation ends at {shown(end)} UTC, when the destruction of the deployment began")
            until = end
        courses = [Course(RECORDED, reenacted(past, since, until, self._limits))]
        for name, policy in self._policies.items():
            run = partial(tried, past, policy, since, until, model=self._model, limits=self._limits)
            courses.append(Course(name, _accepted(name, run)))
        begin = courses[0].simulated.course.counts[0].at
        return Simulation(
            deployment_id=key,
            since=max(since, begin),
            until=until,
            arrivals=past.arrivals,
            courses=courses,
            policies=self._policies,
            model=self._model,
            warnings=warnings,
        )

    def before_deploying(
        self, source: SampleSource, since: datetime | None, until: datetime | None, replicas: int
    ) -> Simulation:
        """Simulate on samples alone."""
        if not self._policies:
            raise typer.BadParameter("--rules have to be given where there is no --deployment")
        if since is not None and until is not None:
            _check_span(since, until)
        policies = list(self._policies.values())
        arrivals: Sequence[SampleArrival] = arrivals_of(source, policies, self._settings, since, until, self._most)
        warnings = without_samples(self._policies, arrivals, needs_some=True)
        begin = since or arrivals[0].at
        end = until or arrivals[-1].at + datetime.resolution
        _check_span(begin, end)
        courses = []
        for name, policy in self._policies.items():
            about = (replicas, arrivals, policy, begin, end)
            run = partial(tried_before_deploying, "simulated", *about, model=self._model, limits=self._limits)
            courses.append(Course(name, _accepted(name, run)))
        return Simulation(
            deployment_id=None,
            since=begin,
            until=end,
            arrivals=arrivals,
            courses=courses,
            policies=self._policies,
            model=self._model,
            warnings=warnings,
        )


def _policies(files: Sequence[Path]) -> Mapping[str, ScalingPolicy]:
    """The rules by what their column is called."""
    names = [RECORDED, *map(str, files)]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise typer.BadParameter(f"--rules {twice}: two columns would be called this")
    return {str(file): read_model(file, ScalingPolicy, what="rules") for file in files}


def _check_span(since: datetime, until: datetime) -> None:
    if since >= until:
        raise typer.BadParameter(f"--from {since.isoformat()} is not before --to {until.isoformat()}")


def _accepted(name: str, run: "partial[Simulated]") -> Simulated:
    try:
        return run()
    except CommandRejected as rejection:
        raise RulesRefused(f"the rules of {name} cannot be set: {rejection.message}") from None
