"""Objects written in one version of their kind and read in another: which, and in which words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from conformance.clusters import ApiAnswer
from conformance.drive.manifests import load
from conformance.drive.scenario import Scenario
from conformance.drive.version_round_trip import conversions, versions_there, write
from conformance.judge.conversions import outcome
from conformance.profiles import Profile, parse
from conformance.run.context import RunContext

from .conftest import PROFILE
from .fake_cluster import FakeCluster
from .virtual import VirtualClock

SPLITS = ("v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4")
READ = [one for one in load("common/versions/read.yaml") if one["kind"] == "TrafficSplit"]


@pytest.fixture
def profile() -> Profile:
    made = parse(PROFILE, "fake")
    return made.model_copy(update={"claims": made.claims.model_copy(update={"split": SPLITS})})


@pytest.fixture
def several(cluster: FakeCluster) -> FakeCluster:
    cluster.serves |= {f"split.smi-spec.io/{version}": ("TrafficSplit",) for version in SPLITS}
    return cluster


def scenario(profile: Profile, cluster: FakeCluster, clock: VirtualClock, spoken: str) -> Scenario:
    context = RunContext.open(profile, cluster, clock=clock, run_id="r1", seed=7)
    context.arena.wait_ready(["main"])
    return context.scenario("common/versions", {"split": spoken, "access": "v1alpha3", "specs": "v1alpha4"})


def as_it_is(item: dict[str, Any]) -> dict[str, Any]:
    return item


def test_versions_that_are_claimed_and_served_are_there(
    profile: Profile, cluster: FakeCluster, clock: VirtualClock
) -> None:
    made = scenario(profile, cluster, clock, "v1alpha4")
    assert versions_there(made)["TrafficSplit"] == ["v1alpha4"]
    cluster.serves["split.smi-spec.io/v1alpha2"] = ("TrafficSplit",)
    assert versions_there(made)["TrafficSplit"] == ["v1alpha2", "v1alpha4"]
    cluster.serves["access.smi-spec.io/v1alpha1"] = ("TrafficTarget",)
    assert versions_there(made)["TrafficTarget"] == ["v1alpha3"]


@pytest.mark.parametrize(
    ("spoken", "pairs"),
    [
        ("v1alpha4", ["1 in 4", "2 in 4", "3 in 4", "3 in 4"]),
        ("v1alpha3", ["1 in 3", "2 in 3", "3 in 4", "3 in 4"]),
        ("v1alpha1", ["1 in 2", "1 in 3", "1 in 4"]),
    ],
)
def test_the_older_is_written_and_the_newer_read_where_both_have_words(
    profile: Profile, several: FakeCluster, clock: VirtualClock, spoken: str, pairs: list[str]
) -> None:
    made = scenario(profile, several, clock, spoken)
    found = conversions(made, READ, as_it_is)
    assert sorted(f"{one.written_in[-1]} in {one.read_in[-1]}" for one in found) == pairs
    for one in found:
        assert one.sent["metadata"]["name"].endswith(f"-{one.written_in}")
        assert one.sent["apiVersion"].endswith(one.written_in)
        assert one.meant["apiVersion"].endswith(one.read_in)
    # The fake cluster converts nothing at all, so text stays text.
    assert {outcome(one) for one in found if one.written_in == "v1alpha1"} == {"renamed"}
    made.delete_applied()
    assert not [key for key in several.objects if key[0] == "TrafficSplit"]


def test_the_same_may_be_said_in_other_words(
    profile: Profile, several: FakeCluster, clock: VirtualClock
) -> None:
    made = scenario(profile, several, clock, "v1alpha4")
    found = conversions(made, READ, lambda item: {**item, "note": "other words"})
    assert all(one.sent["note"] == "other words" for one in found)
    assert not any("note" in one.meant for one in found)


def test_one_version_is_alone_and_nothing_is_written(
    profile: Profile, cluster: FakeCluster, clock: VirtualClock
) -> None:
    made = scenario(profile, cluster, clock, "v1alpha4")
    assert [outcome(one) for one in conversions(made, READ, as_it_is)] == ["alone", "alone"]
    assert made.applied == []


def test_what_is_not_claimed_is_left_out(profile: Profile, cluster: FakeCluster, clock: VirtualClock) -> None:
    made = scenario(profile, cluster, clock, "v1alpha4")
    targets = [one for one in load("common/versions/read.yaml") if one["kind"] == "TrafficTarget"]
    made.writer = replace(made.writer, versions={"split": "v1alpha4"})
    assert conversions(made, targets, as_it_is) == []


def test_an_answer_that_is_no_object_is_evidence_as_well(
    profile: Profile, several: FakeCluster, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = scenario(profile, several, clock, "v1alpha2")
    served = FakeCluster.request

    def broken(self: FakeCluster, method: str, path: str, *rest: Any, **more: Any) -> ApiAnswer:
        if method == "GET" and "/trafficsplits/" in path:
            return ApiAnswer(500, {"message": "conversion webhook failed"})
        return served(self, method, path, *rest, **more)

    monkeypatch.setattr(FakeCluster, "request", broken)
    found = conversions(made, READ[:1], as_it_is)
    assert {(one.status, outcome(one)) for one in found} == {(500, "changed")}


def test_objects_are_written_in_other_versions_than_the_scenarios(
    profile: Profile, several: FakeCluster, clock: VirtualClock
) -> None:
    made = scenario(profile, several, clock, "v1alpha4")
    (old,) = write(made, READ, {"split": "v1alpha1"})
    assert [one["weight"] for one in old["spec"]["backends"]] == ["2", "1"]
