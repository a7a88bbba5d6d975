"""Objects of the Kubernetes API: pass, fail, inconclusive, and their messages."""

from __future__ import annotations

from typing import Any

import pytest

from conformance import judge
from conformance.judge.smi_objects import VERBS
from conformance.model.evidence import RoundTrip
from conformance.model.verdict import Verdict

ALL_VERBS = dict.fromkeys(VERBS, True)
SPLIT = ("split.smi-spec.io", "v1alpha4", "TrafficSplit")
SENT = {
    "apiVersion": "split.smi-spec.io/v1alpha4",
    "kind": "TrafficSplit",
    "metadata": {"name": "web", "labels": {"run": "1"}, "namespace": "arena"},
    "spec": {
        "service": "root",
        "matches": [{"kind": "HTTPRouteGroup", "name": "routes"}],
        "backends": [{"service": "v1", "weight": 70}, {"service": "v2", "weight": 30}],
    },
}


def trip(read: dict[str, Any], sent: dict[str, Any] = SENT, **verbs: bool) -> RoundTrip:
    return RoundTrip("split.smi-spec.io/v1alpha4", "TrafficSplit", sent, read, {**ALL_VERBS, **verbs})


def with_spec(**changes: Any) -> dict[str, Any]:
    return {**SENT, "spec": {**SENT["spec"], **changes}}  # type: ignore[dict-item]


class TestGroupsServed:
    def test_claims_that_are_served_pass(self) -> None:
        found = judge.groups_served([SPLIT], {SPLIT, ("apps", "v1", "Deployment")})
        assert (found.verdict, found.summary) == (Verdict.PASS, "all 1 kind are served")

    def test_a_claim_that_is_not_served_fails_with_what_is(self) -> None:
        found = judge.groups_served([SPLIT], [("split.smi-spec.io", "v1alpha2", "TrafficSplit")])
        assert found.verdict is Verdict.FAIL
        assert found.summary == "claimed but not served: split.smi-spec.io/v1alpha4 TrafficSplit"
        assert found.hint == "served instead: split.smi-spec.io/v1alpha2 TrafficSplit"

    def test_nothing_served_fails(self) -> None:
        assert judge.groups_served([SPLIT], []).hint == "the CRDs are not installed"

    def test_nothing_claimed_is_not_claimed(self) -> None:
        assert judge.groups_served([], [SPLIT]).verdict is Verdict.NOT_CLAIMED


class TestRoundTrips:
    def test_what_comes_back_whole_passes(self) -> None:
        stored = {**SENT, "metadata": {**SENT["metadata"], "uid": "1", "namespace": "other"}, "status": {}}  # type: ignore[dict-item]
        found = judge.round_trips([trip(stored)])
        assert found.verdict is Verdict.PASS
        assert found.summary == "1 object came back whole: split.smi-spec.io/v1alpha4 TrafficSplit"

    @pytest.mark.parametrize(
        ("read", "said"),
        [
            ({**SENT, "spec": {"service": "root"}}, "spec.matches is gone, spec.backends is gone"),
            (with_spec(service="web"), "spec.service was 'root', came back as 'web'"),
            (with_spec(backends=[]), "spec.backends was a list of 2, came back as a list of 0"),
            (with_spec(matches=None), "spec.matches was a list of 1, came back as None"),
            (
                with_spec(backends=[{"service": "v1", "weight": 70}, {"service": "v2", "weight": 1}]),
                "spec.backends[1].weight was 30, came back as 1",
            ),
            ({**SENT, "metadata": {"name": "web"}}, "metadata.labels is gone"),
            ({}, "apiVersion is gone, kind is gone, metadata is gone, spec is gone"),
            ([], "was an object of 4 fields, came back as a list of 0"),
        ],
    )
    def test_what_is_lost_fails_and_is_named(self, read: Any, said: str) -> None:
        found = judge.round_trips([trip(read)])
        assert found.verdict is Verdict.FAIL
        assert found.summary == f"split.smi-spec.io/v1alpha4 TrafficSplit: {said}".replace(": was", ":  was")

    @staticmethod
    def in_version(version: str, sent: dict[str, Any], read: dict[str, Any]) -> bool:
        api_version = f"split.smi-spec.io/{version}"
        return judge.round_trips([RoundTrip(api_version, "TrafficSplit", sent, read, ALL_VERBS)]).passed

    def test_weights_are_compared_as_quantities_where_they_are_such(self) -> None:
        sent = {"spec": {"backends": [{"weight": "1"}, {"weight": "500m"}]}}
        same = {"spec": {"backends": [{"weight": 1}, {"weight": "0.5"}]}}
        other = {"spec": {"backends": [{"weight": 1}, {"weight": 500}]}}
        assert self.in_version("v1alpha1", sent, same)
        assert not self.in_version("v1alpha1", sent, other)

    @pytest.mark.parametrize("read", ["50", "50000m", 50.5])
    def test_weights_of_later_versions_are_whole_numbers(self, read: Any) -> None:
        sent, back = ({"spec": {"backends": [{"weight": weight}]}} for weight in (50, read))
        for version in ("v1alpha2", "v1alpha3", "v1alpha4"):
            assert not self.in_version(version, sent, back)
            assert self.in_version(version, sent, sent)

    def test_numbers_are_no_truths(self) -> None:
        assert not judge.round_trips([trip({"spec": {"a": True}}, {"spec": {"a": 1}})]).passed

    def test_null_is_absent(self) -> None:
        assert judge.round_trips([trip({"spec": {}}, {"spec": {"a": None}})]).passed

    def test_a_verb_that_is_refused_fails(self) -> None:
        found = judge.round_trips([trip(SENT, watch=False, patch=False)])
        assert found.verdict is Verdict.FAIL
        assert found.summary == "split.smi-spec.io/v1alpha4 TrafficSplit: did not watch, patch"

    def test_a_verb_that_was_not_tried_is_inconclusive(self) -> None:
        tried = RoundTrip("g/v1", "K", SENT, SENT, {"create": True, "get": True})
        found = judge.round_trips([tried])
        assert found.verdict is Verdict.INCONCLUSIVE
        assert found.summary == "not tried: g/v1 K: list, watch, patch, replace, delete"

    def test_nothing_sent_is_inconclusive(self) -> None:
        assert judge.round_trips([]).verdict is Verdict.INCONCLUSIVE
