"""Figures look alike in all summaries, and no outside text can pass for the suite's own words."""

from __future__ import annotations

import pytest

from conformance.judge import phrasing


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (4000, "4,000"),
        (3.25, "3.25"),
        (2.0, "2"),
        (0, "0"),
        (0.001, "0.001"),
        (0.123456, "0.123"),
        (1e6, "1,000,000"),
    ],
)
def test_numbers_are_grouped_and_short(value: float, text: str) -> None:
    assert phrasing.number(value) == text


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (0, "0 %"),
        (0.7, "70 %"),
        (0.7021, "70.2 %"),
        (0.0062, "0.62 %"),
        (0.05, "5 %"),
        (0.00001, "0.001 %"),
        (0.9999, "99.99 %"),
        (0.99999, "99.999 %"),
        (1, "100 %"),
    ],
)
def test_only_all_is_a_hundred_percent_and_only_nothing_is_none(part: float, text: str) -> None:
    assert phrasing.percent(part) == text


def test_one_thing_is_singular() -> None:
    assert (phrasing.pluralize(1, "request"), phrasing.pluralize(1000, "request")) == (
        "1 request",
        "1,000 requests",
    )


def test_counts_are_listed_largest_first_without_zeros() -> None:
    assert phrasing.format_counts({"b": 2, "a": 2, "c": 1000, "d": 0}) == "c 1,000, a 2, b 2"
    assert phrasing.format_counts({"d": 0}) == "none"


def test_long_lists_are_cut() -> None:
    assert phrasing.listed("abcdefgh") == "a, b, c, d, e, f, g, h"
    assert phrasing.listed("abcdefghij") == "a, b, c, d, e, f, g, h and 2 more"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        ("x\n\x00\ud800", r"'x\n\x00\ud800'"),
        ([1, [2]], "a list of 2"),
        ({"a": 1}, "an object of 1 field"),
        (10**70, "1" + "0" * 58 + "…"),
    ],
)
def test_what_a_server_sent_is_quoted_or_described(value: object, text: str) -> None:
    assert phrasing.short(value) == text


def test_what_a_server_sent_is_cut() -> None:
    assert phrasing.short("x" * 10**6) == "'" + "x" * 58 + "…"
