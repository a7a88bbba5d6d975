"""Accepted and refused documents, by dry-run requests to the API server."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from conformance import judge
from conformance.model.evidence import AdmissionAttempt
from conformance.model.verdict import Verdict

WHOLE = AdmissionAttempt("whole", "accepted", {}, 201)
MAP = {"spec": {"matches": [{"name": "m", "headers": {"a": "b"}}]}}
LIST = {"matches": [{"name": "m", "headers": [{"a": "b"}]}]}


def violation(
    status: int, expect: Literal["refused", "either"] = "refused", name: str = "odd"
) -> AdmissionAttempt:
    return AdmissionAttempt(name, expect, {}, status)


def form(
    name: str, sent: dict[str, Any], status: int, returned: dict[str, Any] | None = None
) -> AdmissionAttempt:
    return AdmissionAttempt(name, "either", sent, status, "", returned if returned is not None else sent)


class TestRefusals:
    def test_of_every_violation_beside_an_accepted_document_are_a_pass(self) -> None:
        found = judge.refusals([WHOLE], [violation(422), violation(400), violation(403)])
        assert found.passed
        assert found.summary == "all 3 violations are refused"

    def test_that_do_not_come_are_named(self) -> None:
        found = judge.refusals([WHOLE], [violation(422), violation(201, name="no service")])
        assert found.verdict is Verdict.FAIL
        assert found.summary == "accepted: object with no service"

    def test_that_do_not_come_fail_whatever_else_is_refused(self) -> None:
        assert (
            judge.refusals([AdmissionAttempt("whole", "accepted", {}, 422)], [violation(201)]).verdict
            is Verdict.FAIL
        )

    def test_say_nothing_where_the_document_is_refused_without_a_violation_as_well(self) -> None:
        found = judge.refusals([AdmissionAttempt("whole", "accepted", {}, 422)], [violation(422)])
        assert found.verdict is Verdict.INCONCLUSIVE
        assert "documents without a violation are refused as well: whole" in found.summary
        # As without the permission to create any.
        forbidden = judge.refusals([AdmissionAttempt("whole", "accepted", {}, 403)], [violation(403)])
        assert forbidden.verdict is Verdict.INCONCLUSIVE

    @pytest.mark.parametrize("status", [401, 404, 500, 503])
    def test_for_another_reason_than_the_document_are_no_conclusion(self, status: int) -> None:
        found = judge.refusals([WHOLE], [violation(status)])
        assert found.verdict is Verdict.INCONCLUSIVE
        assert f"odd (HTTP {status})" in found.summary

    @pytest.mark.parametrize(
        ("repaired", "violations"),
        [([], [violation(422)]), ([WHOLE], []), ([WHOLE], [violation(422, "either")])],
    )
    def test_of_nothing_are_no_conclusion(
        self, repaired: list[AdmissionAttempt], violations: list[AdmissionAttempt]
    ) -> None:
        assert judge.refusals(repaired, violations).verdict is Verdict.INCONCLUSIVE

    def test_that_are_left_open_are_reported(self) -> None:
        found = judge.refusals([WHOLE], [violation(422), violation(201, "either", "port 0")])
        assert found.passed
        assert found.summary == "all 1 violation are refused; object with port 0 is accepted"


class TestHeaderForms:
    def test_are_read_and_never_failed(self) -> None:
        found = judge.header_form([form("map", MAP, 201), form("list", LIST, 422, {})])
        assert found.passed
        assert found.summary == "as a map: accepted; as a list: refused (HTTP 422)"
        assert [one.letter for one in found.readings] == ["a"]
        neither = judge.header_form([form("map", MAP, 422, {}), form("list", LIST, 422, {})])
        assert neither.passed
        assert [(one.letter, one.finding) for one in neither.readings] == [
            ("", "header filters can be written in neither form")
        ]

    def test_that_are_accepted_and_dropped_are_distinguished(self) -> None:
        dropped = {"spec": {"matches": [{"name": "m"}]}}
        assert (
            judge.header_form([form("map", MAP, 201, dropped)]).summary == "as a map: accepted, and dropped"
        )

    def test_of_a_version_without_headers_are_no_reading(self) -> None:
        assert judge.header_form([]).verdict is Verdict.INCONCLUSIVE

    def test_of_which_none_is_kept_fail_what_needs_one(self) -> None:
        dropped = form("list", LIST, 201, {"matches": [{"name": "m"}]})
        found = judge.headers_refused([form("map", MAP, 422, {}), dropped])
        assert found.verdict is Verdict.FAIL
        assert found.summary.startswith("no support of header filters: as a map: refused (HTTP 422)")

    def test_of_which_one_is_kept_fail_nothing(self) -> None:
        assert judge.headers_refused([form("list", LIST, 201)]).verdict is Verdict.INCONCLUSIVE
