"""From environment variables to what asks Prometheus."""

from pathlib import Path

import pytest

from service.prometheus import open_prometheus
from service.settings import SettingsInvalid, load_settings
from tests.adapters.prometheus_server import prometheus_server, scalar, success

TOKEN = "s3cret-token"


def set_prometheus(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    """Set environment variables of the group."""
    for name, value in variables.items():
        monkeypatch.setenv(f"ROUTEKEEPER_PROMETHEUS__{name}", value)


def test_without_an_address_nothing_is_asked() -> None:
    assert open_prometheus(load_settings().prometheus) is None


async def test_the_token_file_is_read_anew_for_each_query(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    async with prometheus_server(load=success(scalar("1"))) as server:
        set_prometheus(monkeypatch, URL=server.address, TOKEN__FILE=str(file))
        queries = open_prometheus(load_settings().prometheus)
        assert queries is not None
        await queries.ask("load")
        file.write_text("second\n")
        await queries.ask("load")
        await queries.close()

    assert [headers["authorization"] for _, _, headers in server.asked] == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"URL": f"http://me:{TOKEN}@prometheus"}, "give a token instead"),
        ({"URL": "http://prometheus", "TOKEN__FILE": "/no/such/file"}, "token file /no/such/file cannot be read"),
        ({"URL": "http://prometheus", "TOKEN__ENV": "NOT_SET_ANYWHERE"}, "NOT_SET_ANYWHERE is not set"),
        ({"TOKEN__VALUE": TOKEN, "TOKEN__ENV": "ANOTHER"}, "exactly one of value, file and env"),
        ({"URL": "http://prometheus", "CA_FILE": "/no/such/file"}, "__CA_FILE: /no/such/file: No such file"),
        ({"POLLING__INTERVAL_SECONDS": "0"}, "ROUTEKEEPER_PROMETHEUS__POLLING__INTERVAL_SECONDS"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_without_its_secret(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], complaint: str
) -> None:
    set_prometheus(monkeypatch, **variables)

    with pytest.raises(SettingsInvalid) as refused:
        open_prometheus(load_settings().prometheus)

    assert complaint in str(refused.value)
    assert TOKEN not in str(refused.value)
