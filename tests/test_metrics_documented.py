"""The page on metrics, the dashboard and the code name the same metrics with the same labels."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from adapters.metrics.gauges import DecidingGauges, FollowingGauges, ProcessGauges
from adapters.metrics.telemetry import PrometheusTelemetry

ROOT = Path(__file__).resolve().parent.parent
ROW = re.compile(r"^\| `(routekeeper_\w+)` \| (\w+) \| ([\w, ]*)\|", re.MULTILINE)
SELECTOR = re.compile(r"(routekeeper_\w+)(?:\{([^}]*)\})?")
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
#: What Prometheus adds by itself, and what buckets have.
OF_EVERY_METRIC = {"job", "instance", "le"}


@pytest.fixture(scope="module")
def metrics() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Type and labels of every metric, by the name that the page uses."""
    registry = CollectorRegistry()
    for metrics_of in (PrometheusTelemetry, ProcessGauges, DecidingGauges, FollowingGauges):
        metrics_of(registry)
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for collector in registry._collector_to_names:
        assert isinstance(collector, MetricWrapperBase)
        name = collector._name + ("_total" if collector._type == "counter" else "")
        found[name] = (str(collector._type), tuple(collector._labelnames))
    return found


@pytest.fixture(scope="module")
def exposed(metrics: dict[str, tuple[str, tuple[str, ...]]]) -> dict[str, set[str]]:
    """The labels of every time series' name."""
    return {
        name.removesuffix("_total") + suffix: {*labels, *OF_EVERY_METRIC}
        for name, (kind, labels) in metrics.items()
        for suffix in SUFFIXES[kind]
    }


def test_the_page_lists_every_metric_with_its_type_and_labels(
    metrics: dict[str, tuple[str, tuple[str, ...]]],
) -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    listed = {
        name: (kind, tuple(label.strip() for label in labels.split(",") if label.strip()))
        for name, kind, labels in ROW.findall(page)
    }

    assert listed == metrics


def expressions(part: Any) -> list[str]:  # noqa: ANN401 - any JSON
    """Every query in a dashboard."""
    if isinstance(part, dict):
        own = [value for key, value in part.items() if key in {"expr", "query"} and isinstance(value, str)]
        return own + [each for value in part.values() for each in expressions(value)]
    return [each for value in part for each in expressions(value)] if isinstance(part, list) else []


def test_the_dashboard_asks_only_for_what_there_is_and_leaves_nothing_out(
    metrics: dict[str, tuple[str, tuple[str, ...]]], exposed: dict[str, set[str]]
) -> None:
    queries = expressions(json.loads((ROOT / "deploy" / "grafana" / "routekeeper.json").read_text()))
    shown = set()
    for query in queries:
        grouped = {label for group in re.findall(r"by \(([^)]*)\)", query) for label in group.split(", ")}
        for name, selector in SELECTOR.findall(query):
            used = grouped | set(re.findall(r"(\w+)=~?\"", selector))
            assert used <= exposed[name], query
            shown.add(name)

    asked = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}
    assert asked == set(metrics)


def test_the_alerts_on_the_page_ask_only_for_what_there_is(exposed: dict[str, set[str]]) -> None:
    page = (ROOT / "docs" / "metrics.md").read_text().partition("## What to be woken for")[2]

    named = {name for name, _ in SELECTOR.findall(page)}

    assert named
    assert named <= set(exposed)
