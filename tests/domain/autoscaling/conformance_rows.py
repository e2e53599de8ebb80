"""Rows of other autoscalers' test tables, as parameters: one test case a row, none left out in silence."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import pytest

Row = dict[str, Any]

OWN_ROWS: Final = Path(__file__).resolve().parents[2] / "data" / "conformance"

#: Where the rows are read from: the project's own, or another folder of the same format.
FOLDER: Final = Path(os.environ.get("CONFORMANCE_DIR") or OWN_ROWS)

HPA_KINDS: Final = frozenset(
    {
        "resource_utilization",
        "pods_average_value",
        "object_value",
        "object_average_value",
        "external_value",
        "external_average_value",
    }
)
HPA_OTHER_KINDS: Final = frozenset({"multi_metric", "hpa_pod_group", "hpa_per_pod_usage"})
LIMIT_KINDS: Final = frozenset(
    {"clamp_default", "behavior_rate", "scale_up_limit", "scale_down_limit", "store_scale_event"}
)
STABILIZATION_KINDS: Final = frozenset({"stabilize_down_global", "stabilize_behavior", "reconcile_timing"})
KPA_KINDS: Final = frozenset({"kpa_single", "kpa_sequence", "kpa_activation_scale"})
RAY_KINDS: Final = frozenset(
    {
        "ray_gang",
        "ray_cold_start",
        "ray_delay",
        "ray_factor",
        "ray_warmup",
        "ray_requests",
        "ray_to_zero",
        "ray_to_zero_steps",
    }
)
NOMAD_KINDS: Final = frozenset({"nomad_target_value", "nomad_direction"})

KNOWN_KINDS: Final = (
    HPA_KINDS | HPA_OTHER_KINDS | LIMIT_KINDS | STABILIZATION_KINDS | KPA_KINDS | RAY_KINDS | NOMAD_KINDS
)

#: Rows that mean something Routekeeper deliberately does not have, by kind and name, and why.
UNSUPPORTED: Final[dict[tuple[str, str], str]] = {}


def read(folder: Path) -> list[tuple[str, Row]]:
    """Every row of a folder with an id that says where it stands."""
    rows = []
    for path in sorted(folder.glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        for section, some in content.items():
            if section != "meta":
                rows += [
                    (f"{path.stem}:{section}:{n}:{row.get('name', row['kind'])}", row) for n, row in enumerate(some)
                ]
    return rows


ROWS: Final = read(FOLDER)


def rows_of(kinds: Iterable[str]) -> list[object]:
    """The rows of these kinds as parameters; unsupported ones are shown as skipped, with the reason."""
    wanted = frozenset(kinds)
    return [_parameter(where, row) for where, row in ROWS if row["kind"] in wanted]


def _parameter(where: str, row: Row) -> object:
    reason = UNSUPPORTED.get((row["kind"], row.get("name", "")))
    return pytest.param(row, id=where, marks=[pytest.mark.skip(reason=reason)] if reason else [])
