import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.kafka.json_guard import holds_not_a_number, holds_nul, is_deeper_than, more_values_than

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=30,
)


def depth(value: object) -> int:
    """Levels of objects and arrays, the slow and obvious way."""
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@given(value=json_values, limit=st.integers(0, 6), spaced=st.booleans())
def test_depth_is_measured_exactly(value: object, limit: int, *, spaced: bool) -> None:
    """For every document: deeper than the limit is what is deeper than the limit."""
    text = json.dumps(value, indent=2 if spaced else None, ensure_ascii=False).encode()

    assert is_deeper_than(text, limit) == (depth(value) > limit)


@pytest.mark.parametrize("inside", ["[[[[[[", '\\"[[[[[[', "]]]}}}[[[{{{", '\\\\\\"{{{{{'])
def test_brackets_in_strings_do_not_count_as_depth(inside: str) -> None:
    """Whatever quotes and backslashes stand before them."""
    assert not is_deeper_than(f'{{"a": "{inside}"}}'.encode(), 1)


def test_many_shallow_values_are_not_deep() -> None:
    """Thousands of brackets side by side are one level."""
    assert not is_deeper_than(json.dumps([[]] * 5000).encode(), 2)


@pytest.mark.parametrize("text", [b"[" * 1_000_000, b'"' + b'\\"' * 500_000, b'{"a":"' + b"[" * 1_000_000])
def test_hostile_text_of_a_megabyte_is_judged_in_linear_time(text: bytes) -> None:
    """A quadratic scan of these would run into the time limit of the test run."""
    is_deeper_than(text, 32)
    more_values_than(text, 10_000)
    holds_not_a_number(text + b"NaN")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'{"a": NaN}', True),
        (b"[-Infinity]", True),
        (b'{"a": "NaN"}', False),
        (b'{"a\\"NaN": 1}', False),
        (b"{}", False),
    ],
)
def test_not_a_number_counts_only_outside_of_strings(text: bytes, *, expected: bool) -> None:
    """A deployment may be called NaN."""
    assert holds_not_a_number(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [(b'"a\\u0000b"', True), (b'"\\\\\\u0000"', True), (b'"\\\\u0000"', False), (b'"u0000"', False)],
)
def test_an_escaped_nul_is_told_from_an_escaped_backslash(text: bytes, *, expected: bool) -> None:
    """What decides is whether the backslash before the u is itself escaped."""
    assert holds_nul(text) is expected
    assert ("\0" in json.loads(text)) is expected
