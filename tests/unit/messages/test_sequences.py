"""A SequenceSet holds what a plain set of numbers would hold."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from tinybms_messages.sequences import SequenceSet

RANGES = st.lists(
    st.tuples(st.integers(1, 60), st.integers(0, 15)).map(lambda pair: (pair[0], sum(pair)))
)


def plain(ranges: list[tuple[int, int]]) -> set[int]:
    return {number for first, last in ranges for number in range(first, last + 1)}


@given(RANGES)
def test_it_holds_what_was_put_in_and_nothing_else(ranges: list[tuple[int, int]]) -> None:
    numbers, expected = SequenceSet(ranges), plain(ranges)
    assert [number for number in range(80) if number in numbers] == sorted(expected)
    assert len(numbers) == len(expected)
    assert numbers.last == max(expected, default=0)


@given(RANGES)
def test_its_ranges_are_as_few_as_can_be(ranges: list[tuple[int, int]]) -> None:
    kept = list(SequenceSet(ranges).ranges())
    assert all(first <= last for first, last in kept)
    assert all(after[0] > before[1] + 1 for before, after in itertools.pairwise(kept))


@given(RANGES, st.integers(1, 80), st.integers(1, 80))
def test_missing_is_what_the_span_has_beyond_it(
    ranges: list[tuple[int, int]], first: int, last: int
) -> None:
    missing = SequenceSet(ranges).missing(first, last)
    assert plain(missing) == set(range(first, last + 1)) - plain(ranges)
    assert missing == list(SequenceSet(missing).ranges())


@given(RANGES)
def test_up_to_is_the_end_of_the_run_from_one(ranges: list[tuple[int, int]]) -> None:
    numbers = plain(ranges)
    up_to = SequenceSet(ranges).up_to
    assert all(number in numbers for number in range(1, up_to + 1))
    assert up_to + 1 not in numbers


@given(RANGES, RANGES)
def test_an_update_is_a_union(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> None:
    joined = SequenceSet(one)
    joined.update(SequenceSet(other))
    assert list(joined.ranges()) == list(SequenceSet(one + other).ranges())


def test_an_empty_range_adds_nothing() -> None:
    assert list(SequenceSet([(1, 0), (5, 4)]).ranges()) == []
