"""Samples from CSV files: what is read, and which line, column and value are at fault where something is."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from adapters.sample_csv import SampleFileInvalid, read_samples
from domain.autoscaling.metric import MetricSource

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROUTE = UUID("00000001-aaaa-4000-8000-000000000000")


def written(folder: Path, text: str) -> Path:
    """A file that holds this."""
    file = folder / "samples.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_samples_come_in_the_order_of_time_with_source_and_route(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        "time,metric,source,route,value\n"
        f"2026-03-01T12:00:00Z,queue,prometheus,{ROUTE},3\n"
        f"{NOON.timestamp() - 60},queue,,,1.5\n"
        "2026-03-01T11:59:30,util,,first,2e1\n",
    )

    whole, named, by_id = read_samples(file, limit=10)

    assert (whole.source, whole.route_id, whole.value) == (MetricSource.INFERENCE_FRAMEWORK, None, 1.5)
    assert (named.source, named.value, named.at.second) == (MetricSource.KERNEL, 20, 30)
    assert named.route_id is not None
    assert (by_id.source, by_id.route_id, by_id.at) == (MetricSource.PROMETHEUS, ROUTE, NOON)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("time,metric\n", "there is no column 'value'"),
        ("", "there is no column 'time'"),
        ("time,metric,value,unit\n", "there can be no column 'unit'"),
        ("time,metric,value\nnow,queue,1\n", "line 2: time: 'now' is neither ISO 8601 nor seconds since 1970"),
        ("time,metric,value\n1e300,queue,1\n", "line 2: time: '1e300' is no time"),
        ("time,metric,value\n0,queue,1\n0,queue,many\n", "line 3: value: 'many' is no number"),
        ("time,metric,value\n0,queue,nan\n", "line 2: value: 'nan' is no number"),
        ("time,metric,value\n0,,1\n", "line 2: metric: String should have at least 1 character, not ''"),
        ("time,metric,value,source\n0,queue,1,kernels\n", "line 2: source: 'kernels' is none of kernel"),
        ("time,metric,value\n0,queue\n", "line 2: there are not as many cells as columns"),
        ("time,metric,value\n0,queue,1,2\n", "line 2: there are not as many cells as columns"),
        ("time,metric,value\n" + "0,queue,1\n" * 11, "there are more than 10 samples"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    file = written(tmp_path, text)

    with pytest.raises(SampleFileInvalid) as error:
        read_samples(file, limit=10)

    assert complaint in str(error.value)
    assert str(error.value).startswith(str(file))


def test_what_is_no_text_is_no_csv_file(tmp_path: Path) -> None:
    (tmp_path / "samples.csv").write_bytes(b"time,metric,value\n\xff\xfe")

    with pytest.raises(SampleFileInvalid, match="is no CSV file"):
        read_samples(tmp_path / "samples.csv", limit=10)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SampleFileInvalid, match="none cannot be read: No such file"):
        read_samples(tmp_path / "none", limit=10)
