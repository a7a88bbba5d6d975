"""Quantities and durations are exact, and nothing else passes for one."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.judge.quantity import parse_duration, parse_quantity


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", Fraction(0)),
        ("100", Fraction(100)),
        (100, Fraction(100)),
        ("10m", Fraction(1, 100)),
        ("73492m", Fraction(73492, 1000)),
        ("1.5Ki", Fraction(1536)),
        ("12e-3", Fraction(12, 1000)),
        ("1E2", Fraction(100)),
        ("1E", Fraction(10**18)),
        ("-2k", Fraction(-2000)),
        ("+.5", Fraction(1, 2)),
        ("5.", Fraction(5)),
        ("250u", Fraction(250, 10**6)),
        ("3n", Fraction(3, 10**9)),
        ("2Mi", Fraction(2**21)),
    ],
)
def test_a_quantity_is_the_number_that_it_stands_for(text: Any, number: Fraction) -> None:
    assert parse_quantity(text) == number


NO_NUMBERS = ["", " 1", "1 m", "m", ".", "1mm", "0x1", "1e", "1e5m", "NaN", "inf", "１", "1_0", "1" * 50]
TOO_LARGE = ["9223372036854775808", "-1e300", "9E999", 10**30]
NO_TEXTS = [1.5, True, None, [], {}]


@pytest.mark.parametrize("text", [*NO_NUMBERS, *TOO_LARGE, *NO_TEXTS])
def test_anything_else_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match=r"quantity"):
        parse_quantity(text)


@given(st.integers(-(10**15), 10**15), st.sampled_from(["", "m", "u", "n"]))
def test_suffixes_scale(number: int, suffix: str) -> None:
    scale = {"": 1, "m": 10**3, "u": 10**6, "n": 10**9}[suffix]
    assert parse_quantity(f"{number}{suffix}") == Fraction(number, scale)


@given(st.text())
def test_text_is_a_quantity_or_refused(text: str) -> None:
    try:
        parse_quantity(text)
    except ValueError:
        return


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("1m0s", 60),
        ("1h2m3.5s", Fraction(7447, 2)),
        ("500ms", Fraction(1, 2)),
        ("250µs", Fraction(1, 4000)),
        ("-1s", -1),
        ("0", 0),
    ],
)
def test_a_duration_is_its_seconds(text: str, seconds: Fraction) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "-", "30", "s", "1d", "30 s", "1s2", "--1s", 30, None])
def test_anything_else_is_no_duration(text: Any) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)
