"""Drawn cases: which are tried, and how one that does not hold is shrunk."""

from __future__ import annotations

import pytest
from hypothesis import strategies

from conformance.drive.property_trials import MAX_SHRINK_TRIALS, PropertyResult, check_property

FIRST = [1, 2, 3]
LISTS = strategies.lists(strategies.integers(0, 50), min_size=1, max_size=5)


def short(limit: int, start: int, number: int = 30) -> PropertyResult[list[int], int]:
    """Lists whose sum stays below a limit hold."""
    return check_property(LISTS, sum, lambda _, total: total < limit, first=FIRST, number=number, start=start)


def test_where_all_hold_so_many_are_tried_each_once() -> None:
    found = short(10_000, start=1, number=8)
    assert found.broken is None
    cases = [tuple(case) for case, _ in found.tried]
    assert cases[0] == (1, 2, 3)
    assert 4 <= len(cases) <= 9
    assert len(set(cases)) == len(cases)
    assert all(sum(case) == total for case, total in found.tried)


def test_the_same_seed_draws_the_same() -> None:
    assert short(10_000, start=7).tried == short(10_000, start=7).tried
    assert short(10_000, start=7).tried != short(10_000, start=8).tried


def test_a_case_that_does_not_hold_is_shrunk_within_bounds() -> None:
    for start in range(20):
        found = short(60, start)
        assert found.broken is not None
        case, total = found.broken
        first = next(position for position, (_, each) in enumerate(found.tried) if each >= 60)
        assert 60 <= total <= found.tried[first][1] or len(case) <= len(found.tried[first][0])
        assert len(found.tried) - first - 1 <= MAX_SHRINK_TRIALS
        assert found.broken in found.tried


def test_what_never_holds_but_at_first_is_shrunk_to_the_simplest_case() -> None:
    found = check_property(LISTS, sum, lambda case, _: case == FIRST, first=FIRST, number=5, start=3)
    assert found.broken == ([0], 0)


def test_where_the_first_does_not_hold_nothing_is_drawn() -> None:
    found = short(6, start=1)
    assert found.broken == (FIRST, 6)
    assert found.tried == [(FIRST, 6)]


def test_trouble_of_a_trial_is_passed_on() -> None:
    def trial(_: list[int]) -> int:
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        check_property(LISTS, trial, lambda *_: True, first=FIRST, number=5, start=3)
