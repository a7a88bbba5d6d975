"""What a message about an unknown name ends with."""

from __future__ import annotations

import pytest

from conformance.text.suggest import did_you_mean


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("referense", ["none", "reference"], "; did you mean reference?"),
        ("zzz", ["none", "reference"], "; there are: none, reference"),
        ("zzz", [f"split-{number}" for number in range(100)], ""),
        ("zzz", [], ""),
    ],
)
def test_the_nearest_name_is_named_or_all_if_there_are_few(name: str, known: list[str], hint: str) -> None:
    assert did_you_mean(name, iter(known)) == hint
