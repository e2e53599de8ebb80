"""`routekeeper get`: what the views hold, for people and for programs."""

import json

import pytest
import yaml

from tests.cli_support import CHAT, GONE, OLD_CHAT, SEARCH, Run, json_of, row_of, told


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return told(tmp_path_factory.mktemp("data"))


def test_deployments_show_state_replicas_and_what_is_amiss(run: Run) -> None:
    result = run("get", "deployments")

    chat = row_of(result, "chat")
    assert chat[:6] == ["chat", "0198c0de-4", "ready", "3/3/3", "Available", "77777777"]
    assert "https://chat.models.example/" in chat
    assert row_of(result, "search")[:5] == ["search", "0198c0de-9", "pending", "2/0/0", "NoProxyTarget"]
    assert "desired/active/healthy" in result.stdout


def test_destroyed_deployments_are_shown_only_when_asked_for(run: Run) -> None:
    usual = [row["id"] for row in json_of(run("get", "deployments", "-o", "json"))]
    everything = [row["id"] for row in json_of(run("get", "deployments", "--all", "-o", "json"))]
    by_state = [row["id"] for row in json_of(run("get", "deployments", "--lifecycle", "destroyed", "-o", "json"))]

    assert usual == [str(CHAT), str(SEARCH)]
    assert everything == [str(CHAT), str(OLD_CHAT), str(GONE), str(SEARCH)]
    assert by_state == [str(OLD_CHAT), str(GONE)]


def test_deployments_can_be_filtered_by_resource_group_and_limited(run: Run) -> None:
    edge = json_of(run("get", "deployments", "--resource-group", "edge", "-o", "json"))
    first = run("get", "deployments", "--limit", "1", "-o", "json")

    assert [row["name"] for row in edge] == ["search"]
    assert [row["name"] for row in json_of(first)] == ["chat"]
    assert "there may be more" in first.stderr


@pytest.mark.parametrize("reference", [str(CHAT), str(CHAT).upper(), "0198c0de-4", "chat"])
def test_a_deployment_is_found_by_id_by_the_beginning_of_it_and_by_name(run: Run, reference: str) -> None:
    (row,) = json_of(run("get", "deployments", reference, "-o", "json"))

    assert row["id"] == str(CHAT)


def test_an_unknown_deployment_is_an_error_of_one_line(run: Run) -> None:
    result = run("get", "deployments", "nobody")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "error: no deployment has the id, id prefix or name 'nobody'\n"


def test_a_beginning_that_several_ids_have_is_an_error_that_lists_them(run: Run) -> None:
    result = run("get", "deployments", "0198c0de")

    assert result.exit_code == 1
    assert str(CHAT) in result.stderr
    assert str(SEARCH) in result.stderr


def test_json_holds_every_field_with_plain_types_and_iso_times(run: Run) -> None:
    (row,) = json_of(run("get", "deployments", "chat", "-o", "json"))

    assert row["target_replica_count"] == 3
    assert row["created_at"] == "2026-03-01T12:00:11Z"
    assert row["override"] is None
    assert [rule["name"] for rule in row["scaling_policy"]["rules"]] == ["busy", "idle"]
    assert {condition["type"] for condition in row["conditions"]} >= {"Available", "Progressing"}


def test_yaml_says_the_same_as_json(run: Run) -> None:
    as_json = run("get", "deployments", "-o", "json")
    as_yaml = run("get", "deployments", "-o", "yaml")

    assert json.loads(as_json.stdout) == yaml.safe_load(as_yaml.stdout)


def test_routes_show_status_and_traffic_under_the_name_of_their_deployment(run: Run) -> None:
    result = run("get", "routes", "--all")

    route, deployment, status, _, traffic, revision, *_ = row_of(result, "00000002")
    assert (route, deployment, status, traffic, revision) == ("00000002", "chat", "healthy", "1", "77777777")
    assert row_of(result, "00000005")[1:3] == ["gone", "terminated"]
    assert row_of(result, "00000005")[-1] == "destroyed: exit code 0"


def test_routes_can_be_filtered_by_deployment_and_status(run: Run) -> None:
    of_chat = json_of(run("get", "routes", "-d", "chat", "-o", "json"))
    over = json_of(run("get", "routes", "--status", "terminated", "-o", "json"))

    assert {row["deployment_id"] for row in of_chat} == {str(CHAT)}
    assert len(of_chat) == 3
    assert {row["deployment_id"] for row in over} == {str(GONE), str(OLD_CHAT)}


def test_replicas_show_the_numbers_of_a_deployment_over_time(run: Run) -> None:
    rows = json_of(run("get", "replicas", "chat", "-o", "json"))

    assert [(row["target"], row["active"], row["healthy"]) for row in rows] == [
        (3, 3, 3),
        (3, 3, 1),
        (3, 1, 1),
        (1, 1, 1),
        (1, 1, 0),
        (1, 0, 0),
    ]
    assert row_of(run("get", "replicas", "chat", "--limit", "1"), "2026-03-01 12:00:20")[1:6] == ["chat", *"3330"]


def test_replicas_without_a_deployment_are_the_newest_numbers_of_each(run: Run) -> None:
    rows = json_of(run("get", "replicas", "-o", "json"))

    assert {row["deployment_id"]: row["active"] for row in rows} == {str(CHAT): 3, str(SEARCH): 0}


def test_since_leaves_out_older_numbers(run: Run) -> None:
    rows = json_of(run("get", "replicas", "chat", "--since", "2026-03-01T12:00:19Z", "-o", "json"))

    assert len(rows) == 2


@pytest.mark.parametrize("columns", [80, 120, 200])
def test_a_table_fits_and_always_shows_who_is_how(run: Run, columns: int) -> None:
    result = run("get", "deployments", "--all", columns=columns)

    assert max(map(len, result.stdout.splitlines())) <= columns
    assert row_of(result, "search")[0] == "search"
    assert {"pending", "2/0/0", "NoProxyTarget"} <= set(row_of(result, "search"))


def test_what_is_not_there_is_said_in_a_sentence(run: Run) -> None:
    result = run("get", "deployments", "--lifecycle", "scaling")

    assert (result.exit_code, result.stdout) == (0, "There are no such deployments.\n")
    assert json_of(run("get", "deployments", "--lifecycle", "scaling", "-o", "json")) == []


def test_rejected_records_say_where_they_stand_and_what_was_wrong(run: Run) -> None:
    result = run("rejected")

    cells = row_of(result, "2026-03-01 12:00:35  routekeeper.commands/0@42")
    assert cells[1:5] == ["routekeeper.commands/0@42", "invalid-field", "data.replica_count", "-3"]
    assert "greater than or equal to 0" in cells[5]
    assert "routekeeper.commands/0@41" in result.stdout


def test_rejected_records_can_be_filtered_and_read_by_programs(run: Run) -> None:
    (row,) = json_of(run("rejected", "--code", "invalid-field", "-o", "json"))

    assert {key: row[key] for key in ("topic", "partition", "offset", "field", "value", "source", "id")} == {
        "topic": "routekeeper.commands",
        "partition": 0,
        "offset": 42,
        "field": "data.replica_count",
        "value": "-3",
        "source": "/somebody",
        "id": "oops",
    }
    assert json_of(run("rejected", "--topic", "routekeeper.routes", "-o", "json")) == []
