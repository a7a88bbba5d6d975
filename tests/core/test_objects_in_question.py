"""Objects in question that are edits or malformed, and the polls and baselines of trials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from conformance.clusters import ApiAnswer, ApiStatusError, ClusterError, Object
from conformance.drive.api_trials import IGNORE_UNKNOWN_FIELDS, attempt
from conformance.drive.manifests import load
from conformance.drive.open_questions import objects_in_question
from conformance.drive.open_questions.trial_traffic import UNUSUAL, baselines, wait_until_stable
from conformance.drive.open_questions.trials import Malform, Trial
from conformance.drive.scenario import Scenario
from conformance.drive.traffic import Driver, SendOptions
from conformance.model.evidence import AdmissionAttempt, Call, Traffic
from conformance.run.context import RunContext

from .fake_cluster import FakeCluster

FILE = "2-malformed.yaml"
MATCHES = [{"name": "firefox-users", "headers": {"user-agent": ".*Firefox.*"}}]


@pytest.fixture
def scenario(context: RunContext) -> Scenario:
    context.arena.wait_ready(["main"])
    return context.scenario("traffic-split/odd-conditions-of-users")


def created(scenario: Scenario, malform: Malform) -> dict[str, AdmissionAttempt]:
    items = load(f"{scenario.folder}/{FILE}")
    return objects_in_question.create_malformed(scenario, [(item, malform) for item in items])


def edited(scenario: Scenario) -> dict[str, AdmissionAttempt]:
    return objects_in_question.apply_accepted(scenario, load(f"{scenario.folder}/3-steady.yaml"))


def as_it_is(item: dict[str, Any]) -> dict[str, Any]:
    return item


def at_top(item: dict[str, Any]) -> dict[str, Any]:
    return {**{key: item[key] for key in ("apiVersion", "kind", "metadata")}, **item["spec"]}


def test_an_accepted_object_is_created_and_deleted_at_the_end(
    scenario: Scenario, cluster: FakeCluster
) -> None:
    made = created(scenario, as_it_is)["ab-example"]
    assert made.accepted
    assert made.returned["spec"]["matches"] == MATCHES
    key = ("HTTPRouteGroup", "smi-main-r1", "ab-example")
    assert key in cluster.objects
    scenario.delete_applied()
    assert key not in cluster.objects


def test_a_refused_object_is_a_refusal_with_the_sent_object(scenario: Scenario) -> None:
    refused = created(scenario, at_top)["ab-example"]
    assert (refused.status, refused.sent["matches"]) == (422, MATCHES)
    assert scenario.applied == []


@pytest.mark.parametrize("status", [401, 404, 409, 500])
def test_an_error_is_not_a_refusal(scenario: Scenario, cluster: FakeCluster, status: int) -> None:
    cluster.on_trial = lambda item: (
        ApiAnswer(status, {"message": "no"})
        if item["metadata"]["name"] == "ab-example"
        else ApiAnswer(201, dict(item))
    )
    with pytest.raises(ClusterError, match=f"HTTPRouteGroup ab-example was not created: no .HTTP {status}"):
        created(scenario, at_top)


def test_where_header_filters_cannot_be_written_nothing_is_created(
    scenario: Scenario, cluster: FakeCluster
) -> None:
    cluster.on_trial = lambda item: ApiAnswer(422, {"message": "no headers"})
    assert not created(scenario, as_it_is)["ab-example"].accepted
    assert ("HTTPRouteGroup", "smi-main-r1", "ab-example") not in cluster.objects


def test_a_dry_run_persists_nothing_and_a_request_with_unknown_fields_does(
    scenario: Scenario, cluster: FakeCluster
) -> None:
    (item,) = scenario.objects(FILE)
    assert attempt(cluster, item, "for trial").accepted
    assert ("HTTPRouteGroup", "smi-main-r1", "ab-example") not in cluster.objects
    assert attempt(cluster, item, "relaxed", options=IGNORE_UNKNOWN_FIELDS).accepted
    assert ("HTTPRouteGroup", "smi-main-r1", "ab-example") in cluster.objects


def refusing(status: int) -> Callable[[Object], None]:
    def on_apply(item: Object) -> None:
        raise ApiStatusError(status, "Invalid", "weights add up to nothing")

    return on_apply


class TestAnEdit:
    """An object that is there already cannot be tried by creating it."""

    def test_is_made_where_it_is_taken(self, scenario: Scenario, cluster: FakeCluster) -> None:
        scenario.apply("1-steady.yaml")
        # Created for trial it would be in conflict with itself.
        cluster.on_trial = lambda item: ApiAnswer(409, {"message": "exists"})
        assert edited(scenario) == {}
        split = cluster.objects["TrafficSplit", "smi-main-r1", "conditioned-users"]
        assert split["spec"]["backends"] == [{"service": "v3", "weight": 100}]

    def test_that_is_refused_is_a_refusal_of_what_was_sent(
        self, scenario: Scenario, cluster: FakeCluster
    ) -> None:
        scenario.apply("1-steady.yaml")
        cluster.on_apply = refusing(422)
        refused = edited(scenario)["conditioned-users"]
        assert (refused.status, refused.sent["spec"]["service"]) == (422, "conditioned-users")
        assert "weights add up to nothing" in refused.message

    def test_in_trouble_is_no_refusal(self, scenario: Scenario, cluster: FakeCluster) -> None:
        scenario.apply("1-steady.yaml")
        cluster.on_apply = refusing(500)
        with pytest.raises(ApiStatusError):
            edited(scenario)


def trial(call: Call, baseline_responders: tuple[str, ...] | None = None, **terms: Any) -> Trial:
    return Trial(
        name="odd",
        question="question",
        call=call,
        looks=(),
        baseline_responders=baseline_responders,
        **terms,
    )


def sees(scenario: Scenario, *polls: set[str]) -> list[SendOptions]:
    """From now on who answers is as these polls say, the last of them for good; returns how each was sent."""
    manners: list[SendOptions] = []

    def send(calls: Sequence[Call], options: SendOptions, ledgers: Sequence[str] = ()) -> list[Traffic]:
        manners.append(options)
        answered = dict.fromkeys(polls[min(len(manners), len(polls)) - 1], 15 // 3)
        return [Traffic(one, sum(answered.values()), answered, {}, {}, {}, {}) for one in calls]

    scenario.driver = cast(Driver, SimpleNamespace(send=send))
    return manners


@pytest.mark.parametrize(
    ("polls", "awaited", "leaving", "looks"),
    [
        ([{"v1"}], (), (), 2),
        ([{"v1"}, {"v1", "v2"}, {"v2"}], (), (), 4),
        ([{"v1"}, {"v1"}, {"v1"}, {"v1", "v2"}], ("v2",), (), 5),
        ([{"v1", "v3"}, {"v1", "v3"}, {"v1"}], (), ("v3",), 4),
    ],
    ids=["at once", "until it does not change", "until one has come", "until one has gone"],
)
def test_a_trial_is_looked_at_when_nothing_changes_any_more(
    scenario: Scenario, polls: list[set[str]], awaited: tuple[str, ...], leaving: tuple[str, ...], looks: int
) -> None:
    manners = sees(scenario, *polls)
    call = scenario.call("main/client", "main/odd", requests=120)
    wait_until_stable(scenario, [trial(call, must_appear=awaited, must_disappear=leaving)])
    assert len(manners) == looks
    # Where a mesh chooses once for each connection, a few of them would look another way each time.
    assert {one.per_connection for one in manners} == {1}


def test_what_is_awaited_is_given_up_when_the_mesh_changes_nothing_more(scenario: Scenario) -> None:
    scenario.mesh_is_idle = lambda _: True
    manners = sees(scenario, {"v1"})
    call = scenario.call("main/client", "main/odd", requests=120)
    wait_until_stable(scenario, [trial(call, must_appear=("v2",))])
    assert len(manners) == 1


@pytest.mark.parametrize(
    ("usual", "why"),
    [(("v1",), ""), (("v2",), UNUSUAL), ((), UNUSUAL), (None, "")],
    ids=["as usual", "somebody else", "somebody where nobody should", "open"],
)
def test_what_is_not_as_usual_without_its_object_is_not_asked_about(
    scenario: Scenario, usual: tuple[str, ...] | None, why: str
) -> None:
    sees(scenario, {"v1"})
    call = scenario.call("main/client", "main/odd", requests=120)
    found = baselines(scenario, [trial(call, usual)], [])["odd"]
    assert found.unasked == why
    assert found.traffic is not None
    assert found.traffic.answered == {"v1": 5}
