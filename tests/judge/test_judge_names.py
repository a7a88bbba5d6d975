"""Kinds have the names of the reference CRDs, and lists of splits show the root."""

from __future__ import annotations

from typing import Any

import pytest

from conformance import judge
from conformance.model.evidence import ApiRead
from conformance.model.verdict import Verdict


def listing(*entries: dict[str, Any], status: int = 200) -> ApiRead:
    return ApiRead("the runner", "/apis/x", status, {"resources": list(entries)})


def table(columns: list[str], *cells: list[Any], status: int = 200) -> ApiRead:
    body = {
        "columnDefinitions": [{"name": one} for one in columns],
        "rows": [{"cells": row} for row in cells],
    }
    return ApiRead("the runner", "/apis/x/trafficsplits", status, body)


SPLIT = {"kind": "TrafficSplit", "name": "trafficsplits", "shortNames": ["ts"]}
GROUP = {"kind": "HTTPRouteGroup", "name": "httproutegroups", "shortNames": ["routes", "htr"]}
TABLE = table(["Name", "Service"], ["other", "shop"], ["listed", "root"])


def test_names_of_the_reference_definitions_with_the_column_are_a_pass() -> None:
    found = judge.names_and_columns([listing(SPLIT), listing(GROUP)], TABLE, "root")
    assert found.passed
    assert found.summary == "2 kinds: HTTPRouteGroup, TrafficSplit"


@pytest.mark.parametrize(
    ("entry", "finding"),
    [
        ({**SPLIT, "name": "splits"}, "TrafficSplit is called 'splits', not 'trafficsplits'"),
        ({**SPLIT, "shortNames": ["split"]}, "TrafficSplit has no short name 'ts'"),
        ({"kind": "TrafficSplit", "name": "trafficsplits"}, "TrafficSplit has no short name 'ts'"),
    ],
)
def test_other_names_fail(entry: dict[str, Any], finding: str) -> None:
    found = judge.names_and_columns([listing(entry, GROUP)], TABLE, "root")
    assert (found.verdict, found.summary) == (Verdict.FAIL, finding)


@pytest.mark.parametrize(
    ("seen", "finding"),
    [
        (table(["Name", "Age"], ["listed", "1s"]), "lists of TrafficSplits have no column Service"),
        (table(["Name", "Service"], ["listed", "v1"]), "the column Service does not show the root 'root'"),
        (ApiRead("r", "/x", 200, "no table"), "lists of TrafficSplits have no column Service"),
        (ApiRead("r", "/x", 200, {"columnDefinitions": [{"name": "Service"}], "rows": [7]}), "does not show"),
    ],
)
def test_a_list_that_does_not_show_the_root_fails(seen: ApiRead, finding: str) -> None:
    found = judge.names_and_columns([listing(SPLIT)], seen, "root")
    assert found.verdict is Verdict.FAIL
    assert finding in found.summary


def test_subresources_are_no_kinds_of_their_own() -> None:
    status = {"kind": "TrafficSplit", "name": "trafficsplits/status"}
    assert judge.names_and_columns([listing(SPLIT, status)], None, "").passed


@pytest.mark.parametrize(
    ("reads", "seen"),
    [
        ([listing(status=404)], None),
        ([ApiRead("r", "/x", 200, [])], None),
        ([listing(SPLIT)], table([], status=403)),
    ],
)
def test_what_gives_no_answer_is_no_conclusion(reads: list[ApiRead], seen: ApiRead | None) -> None:
    assert judge.names_and_columns(reads, seen, "root").verdict is Verdict.INCONCLUSIVE
