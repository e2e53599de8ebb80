"""Samples from a CSV file: columns time, metric, value, and perhaps source and route."""

import csv
from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Final
from uuid import UUID, uuid5

from pydantic import ValidationError

from domain.autoscaling.metric import MetricSource
from domain.autoscaling.samples import MetricSample
from domain.errors import RoutekeeperError

_NEEDED: Final = ("time", "metric", "value")
_KNOWN: Final = frozenset({*_NEEDED, "source", "route"})
#: Routes that are called by a name have an id that follows from it.
_ROUTE_NAMES: Final = UUID(int=0)


class SampleFileInvalid(RoutekeeperError):
    """A file of samples cannot be used; the message names the line, the column and the value."""


def read_samples(path: Path, *, limit: int) -> list[MetricSample]:
    """Read at most ``limit`` samples (count) in the order of time. Raises :class:`SampleFileInvalid`.

    Time: ISO 8601 (UTC where no zone is given) or seconds since 1970. Source: as rules have it; without the column, of
    the deployment as a whole, ``inference-framework``, or of a route, ``kernel``. Route: an id or any name; empty for
    the deployment as a whole.
    """
    samples: list[MetricSample] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, strict=True)
            columns = rows.fieldnames or []
            if missing := [name for name in _NEEDED if name not in columns]:
                raise SampleFileInvalid(f"{path}: there is no column {missing[0]!r}; the columns are {list(columns)}")
            if unknown := [name for name in columns if name not in _KNOWN]:
                raise SampleFileInvalid(f"{path}: there can be no column {unknown[0]!r}, but {sorted(_KNOWN)}")
            for row in rows:
                if len(samples) >= limit:
                    raise SampleFileInvalid(f"{path}: there are more than {limit} samples: raise the limit")
                samples.append(_sample(row, f"{path}: line {rows.line_num}"))
    except OSError as error:
        raise SampleFileInvalid(f"{path} cannot be read: {error.strerror}") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise SampleFileInvalid(f"{path} is no CSV file: {error}") from None
    return sorted(samples, key=lambda sample: sample.at)


def _sample(row: Mapping[str | None, str | None], where: str) -> MetricSample:
    if None in row or None in row.values():
        raise SampleFileInvalid(f"{where}: there are not as many cells as columns")
    cells = {str(name): (cell or "").strip() for name, cell in row.items()}
    route = cells.get("route", "")
    source = cells.get("source") or (MetricSource.KERNEL if route else MetricSource.INFERENCE_FRAMEWORK)
    try:
        value = float(cells["value"])
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        raise SampleFileInvalid(f"{where}: value: {cells['value']!r} is no number")
    try:
        return MetricSample(
            source=MetricSource(source),
            metric=cells["metric"],
            value=value,
            at=_moment(cells["time"], where),
            route_id=_route(route),
        )
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise SampleFileInvalid(f"{where}: {problem['loc'][0]}: {problem['msg']}, not {problem['input']!r}") from None
    except ValueError:
        sources = ", ".join(MetricSource)
        raise SampleFileInvalid(f"{where}: source: {source!r} is none of {sources}") from None


def _moment(text: str, where: str) -> datetime:
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise SampleFileInvalid(f"{where}: time: {text!r} is neither ISO 8601 nor seconds since 1970") from None
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise SampleFileInvalid(f"{where}: time: {text!r} is no time") from None


def _route(text: str) -> UUID | None:
    if not text:
        return None
    try:
        return UUID(text)
    except ValueError:
        return uuid5(_ROUTE_NAMES, text)
