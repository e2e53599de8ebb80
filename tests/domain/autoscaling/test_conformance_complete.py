"""No row and no expectation of the conformance tables is left out in silence."""

from tests.domain.autoscaling.conformance_rows import KNOWN_KINDS, OWN_ROWS, ROWS, UNSUPPORTED, read

COMPARED = {
    "expected",
    "expected_able_to_scale_reason",
    "expected_error",
    "expected_events_after",
    "expected_group",
    "expected_limit_reason",
    "expected_reason",
    "expected_replicas_unchanged",
    "expected_sequence",
    "expected_steps",
    "expected_usage",
    "expected_utilization",
}

#: Expectations that stand in rows and mean something that Routekeeper deliberately does not have.
NOT_COMPARED = {
    "expected_error_reported": "the wording of another program's error",
    "expected_excess_burst_capacity": "burst capacity steers a buffering proxy, and none stands in the request path",
    "expected_history_length": "HPA's array keeps what is too old until its slot is used again; here it just goes",
    "expected_in_test_package": "the expectation under a factor that only that test package sets",
    "expected_raw": "usage in absolute terms; a utilization rule keeps the percentage that it decides by",
    "expected_recommendations_after": "slots of the same array; here only what any window may still ask for is kept",
}


def test_every_row_is_of_a_kind_that_is_run() -> None:
    assert [where for where, row in ROWS if row["kind"] not in KNOWN_KINDS] == []


def test_there_are_rows_to_run() -> None:
    assert len(ROWS) > 0


def test_every_expectation_is_compared_or_named_with_a_reason() -> None:
    expectations = {key for _, row in read(OWN_ROWS) for key in row if key.startswith("expected")}

    assert expectations == COMPARED | NOT_COMPARED.keys()


def test_no_row_of_the_folder_that_is_run_expects_anything_that_is_neither_compared_nor_named() -> None:
    expectations = {key for _, row in ROWS for key in row if key.startswith("expected")}

    assert expectations - COMPARED - NOT_COMPARED.keys() == set()


def test_every_unsupported_row_exists_and_has_a_reason() -> None:
    known = {(row["kind"], row.get("name", "")) for _, row in read(OWN_ROWS)}

    assert [name for name, reason in UNSUPPORTED.items() if name not in known or not reason] == []
