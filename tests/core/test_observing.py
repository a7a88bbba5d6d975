"""Objects in question that are edits, or not in their version's shape: made, refused, or neither."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from conformance.clusters import Answer, ClusterError, Object, Refused
from conformance.drive.dry_run import RELAXED, attempt
from conformance.drive.observing import _apply, _misshapen
from conformance.drive.scenario import Scenario
from conformance.session import Session

from .fake_cluster import FakeCluster

FILE = "2-misshapen.yaml"
MATCHES = [{"name": "firefox-users", "headers": {"user-agent": ".*Firefox.*"}}]


@pytest.fixture
def scenario(session: Session) -> Scenario:
    session.arena.ready(["main"])
    return session.scenario("traffic-split/odd-conditions")


def as_it_is(item: dict[str, Any]) -> dict[str, Any]:
    return item


def at_top(item: dict[str, Any]) -> dict[str, Any]:
    return {**{key: item[key] for key in ("apiVersion", "kind", "metadata")}, **item["spec"]}


def test_one_that_is_taken_is_made_and_withdrawn_at_the_end(scenario: Scenario, cluster: FakeCluster) -> None:
    made = _misshapen(scenario, [(FILE, as_it_is)])["ab-example"]
    assert made.accepted
    assert made.returned["spec"]["matches"] == MATCHES
    key = ("HTTPRouteGroup", "smi-main-r1", "ab-example")
    assert key in cluster.objects
    scenario.withdraw()
    assert key not in cluster.objects


def test_one_that_is_refused_is_a_refusal_of_what_was_sent(scenario: Scenario) -> None:
    refused = _misshapen(scenario, [(FILE, at_top)])["ab-example"]
    assert (refused.status, refused.sent["matches"]) == (422, MATCHES)
    assert scenario.applied == []


@pytest.mark.parametrize("status", [401, 404, 409, 500])
def test_trouble_is_no_refusal(scenario: Scenario, cluster: FakeCluster, status: int) -> None:
    cluster.on_trial = lambda item: (
        Answer(status, {"message": "no"})
        if item["metadata"]["name"] == "ab-example"
        else Answer(201, dict(item))
    )
    with pytest.raises(ClusterError, match=f"HTTPRouteGroup ab-example was not created: no .HTTP {status}"):
        _misshapen(scenario, [(FILE, at_top)])


def test_where_header_filters_cannot_be_written_nothing_is_created(
    scenario: Scenario, cluster: FakeCluster
) -> None:
    cluster.on_trial = lambda item: Answer(422, {"message": "no headers"})
    assert not _misshapen(scenario, [(FILE, as_it_is)])["ab-example"].accepted
    assert ("HTTPRouteGroup", "smi-main-r1", "ab-example") not in cluster.objects


def test_a_trial_keeps_nothing_and_a_relaxed_request_does(scenario: Scenario, cluster: FakeCluster) -> None:
    (item,) = scenario.objects(FILE)
    assert attempt(cluster, item, "for trial").accepted
    assert ("HTTPRouteGroup", "smi-main-r1", "ab-example") not in cluster.objects
    assert attempt(cluster, item, "relaxed", options=RELAXED).accepted
    assert ("HTTPRouteGroup", "smi-main-r1", "ab-example") in cluster.objects


def refusing(status: int) -> Callable[[Object], None]:
    def on_apply(item: Object) -> None:
        raise Refused(status, "Invalid", "weights add up to nothing")

    return on_apply


class TestAnEdit:
    """An object that is there already cannot be tried by creating it."""

    def test_is_made_where_it_is_taken(self, scenario: Scenario, cluster: FakeCluster) -> None:
        scenario.apply("1-steady.yaml")
        # Created for trial it would be in conflict with itself.
        cluster.on_trial = lambda item: Answer(409, {"message": "exists"})
        assert _apply(scenario, ["3-steady.yaml"]) == {}
        split = cluster.objects["TrafficSplit", "smi-main-r1", "conditioned"]
        assert split["spec"]["backends"] == [{"service": "v3", "weight": 100}]

    def test_that_is_refused_is_a_refusal_of_what_was_sent(
        self, scenario: Scenario, cluster: FakeCluster
    ) -> None:
        scenario.apply("1-steady.yaml")
        cluster.on_apply = refusing(422)
        refused = _apply(scenario, ["3-steady.yaml"])["conditioned"]
        assert (refused.status, refused.sent["spec"]["service"]) == (422, "conditioned")
        assert "weights add up to nothing" in refused.message

    def test_in_trouble_is_no_refusal(self, scenario: Scenario, cluster: FakeCluster) -> None:
        scenario.apply("1-steady.yaml")
        cluster.on_apply = refusing(500)
        with pytest.raises(Refused):
            _apply(scenario, ["3-steady.yaml"])
