"""The doctor: findings and remedies if cluster, mesh and profile do not match."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from conformance.clusters import ApiAnswer, ClusterError
from conformance.profiles import Claims
from conformance.run import preflight
from conformance.run.context import RunContext

from .fake_cluster import FakeCluster


@pytest.fixture(autouse=True)
def _denying(cluster: FakeCluster) -> None:
    cluster.mesh.access = "deny"


def changed(context: RunContext, **fields: Any) -> RunContext:
    """The context with another profile, on the same arena."""
    profile = context.profile.model_copy(update=fields)
    context.arena.profile = profile
    return replace(context, profile=profile)


def claimed(context: RunContext, **groups: Any) -> RunContext:
    claims = context.profile.claims.model_dump() | groups
    return changed(context, claims=Claims.model_validate(claims))


def wrong(context: RunContext) -> list[preflight.Check]:
    return [check for check in preflight.examine(context) if not check.ok]


class TestTheDoctor:
    def test_finds_no_problem_in_a_working_mesh(self, context: RunContext, cluster: FakeCluster) -> None:
        checks = list(preflight.examine(context))
        assert all(check.ok for check in checks)
        assert [check.name for check in checks] == [
            "cluster", "rights", "APIs", "APIs", "APIs", "metrics", "ingress", "joined", "reachable",
            "calls", "calls", "calls", "calls", "grant", "split",
        ]  # fmt: skip
        assert cluster.objects == {}

    def test_stops_at_an_unreachable_cluster(
        self, context: RunContext, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> ApiAnswer:
            raise ClusterError("cannot be reached")

        monkeypatch.setattr(cluster, "request", refuse)
        (check,) = preflight.examine(context)
        assert str(check) == "cannot be reached"

    def test_names_refused_credentials(
        self, context: RunContext, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cluster, "request", lambda *_: ApiAnswer(401, {}))
        (check,) = preflight.examine(context)
        assert str(check) == "the API server answers HTTP 401; check your credentials"

    def test_creates_nothing_without_the_rights(self, context: RunContext, cluster: FakeCluster) -> None:
        cluster.forbidden = frozenset({("create", "namespaces")})
        wrong = [check for check in preflight.examine(context) if not check.ok]
        assert [check.name for check in wrong] == ["rights"]
        assert cluster.created == []

    def test_names_kinds_that_are_not_served(self, context: RunContext, cluster: FakeCluster) -> None:
        cluster.serves["specs.smi-spec.io/v1alpha4"] = ("HTTPRouteGroup",)
        (wrong,) = [check for check in preflight.examine(context) if not check.ok]
        assert wrong.detail == "specs.smi-spec.io/v1alpha4 is not served with TCPRoute, UDPRoute"
        assert wrong.remedy.endswith(
            "claims.specs in its profile: specs: {v1alpha4: [HTTPRouteGroup]} claims only the served kinds"
        )
        assert cluster.created == []

    @pytest.mark.parametrize("body", [None, [], {}, {"resources": None}, {"resources": [{"name": "x"}, 7]}])
    def test_takes_a_malformed_discovery_for_none(
        self, context: RunContext, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, body: object
    ) -> None:
        monkeypatch.setattr(cluster, "request", lambda *_: ApiAnswer(200, body))
        (check,) = preflight.served(context, [("split", "v1alpha4")])
        assert check.detail == "split.smi-spec.io/v1alpha4 is not served with TrafficSplit"

    def test_checks_every_claimed_version(self, context: RunContext, cluster: FakeCluster) -> None:
        context = claimed(context, split=("v1alpha2", "v1alpha4"))
        (wrong,) = [check for check in preflight.examine(context) if not check.ok]
        assert wrong.detail == "split.smi-spec.io/v1alpha2 is not served with TrafficSplit"

    def test_does_not_require_unclaimed_kinds(self, context: RunContext, cluster: FakeCluster) -> None:
        context = claimed(context, specs={"v1alpha4": ("HTTPRouteGroup", "TCPRoute")})
        cluster.serves["specs.smi-spec.io/v1alpha4"] = ("HTTPRouteGroup", "TCPRoute")
        cluster.forbidden = frozenset({("create", "udproutes")})
        assert all(check.ok for check in preflight.examine(context))

    def test_names_a_metrics_api_that_does_not_answer(self, context: RunContext) -> None:
        claims = context.profile.claims.model_copy(update={"metrics": ("v1alpha1",)})
        context = changed(context, claims=claims)
        check = preflight.metrics(context)
        assert check.detail == "/apis/metrics.smi-spec.io/v1alpha1 answers HTTP 404"

    def test_names_pods_that_do_not_join_and_removes_them(
        self, context: RunContext, cluster: FakeCluster
    ) -> None:
        join = context.profile.join.model_copy(update={"sidecar": True})
        context = changed(context, join=join)
        (wrong,) = [check for check in preflight.examine(context) if not check.ok]
        assert (wrong.name, "no sidecar" in wrong.detail) == ("joined", True)
        assert cluster.objects == {}

    def test_names_calls_that_are_not_answered(self, context: RunContext, cluster: FakeCluster) -> None:
        def without_endpoints(item: object) -> None:
            assert isinstance(item, dict)
            if item["kind"] == "Service":
                item["spec"]["selector"] = {"app": "nobody"}

        cluster.on_apply = without_endpoints
        wrong, *_ = [check for check in preflight.examine(context) if not check.ok]
        assert wrong.detail.startswith(
            "0 of 20 calls to outsider.smi-outside-r1.svc.cluster.local were answered"
        )
        assert "{'refused': 20}" in wrong.detail


class TestTheDoctorsTraffic:
    def test_finds_a_name_that_does_not_resolve(self, context: RunContext, cluster: FakeCluster) -> None:
        hosts = context.profile.hosts.model_copy(update={"service": "{service}.{namespace}.mesh.invalid"})
        context = changed(context, hosts=hosts)
        found = wrong(context)
        assert {check.name for check in found} == {"calls"}
        assert "failures: {'dns': 20}" in found[0].detail
        assert found[0].remedy.startswith("the name does not resolve: correct hosts.service")
        assert cluster.objects == {}

    def test_finds_a_mesh_that_denies_by_default_against_its_profile(self, context: RunContext) -> None:
        context = changed(context, access=context.profile.access.model_copy(update={"default": "allow"}))
        (found,) = wrong(context)
        assert found.name == "grant"
        assert found.remedy == "set access: {default: deny} in the profile"

    def test_finds_a_mesh_that_allows_by_default_against_its_profile(
        self, context: RunContext, cluster: FakeCluster
    ) -> None:
        cluster.mesh.access = "allow"
        (found,) = wrong(context)
        assert found.detail.startswith("open without a TrafficTarget: ")
        assert "set access: {default: allow}" in found.remedy

    def test_accepts_a_mesh_that_allows_by_default_as_its_profile_says(
        self, context: RunContext, cluster: FakeCluster
    ) -> None:
        cluster.mesh.access = "allow"
        context = changed(context, access=context.profile.access.model_copy(update={"default": "allow"}))
        assert wrong(context) == []

    def test_finds_splits_that_are_not_followed(self, context: RunContext, cluster: FakeCluster) -> None:
        cluster.mesh.splits = False
        (found,) = wrong(context)
        assert found.name == "split"
        assert "the mesh's log" in found.remedy

    def test_names_the_protocol_of_unanswered_calls(self, context: RunContext, cluster: FakeCluster) -> None:
        def without(item: Any) -> None:
            if item["kind"] == "Service" and item["metadata"]["name"] == "over-grpc":
                item["spec"]["selector"] = {"app": "nobody"}

        cluster.on_apply = without
        (found,) = wrong(context)
        assert found.detail.startswith("grpc: 0 of 20 calls to over-grpc.smi-main-r1.svc.cluster.local")
        assert found.remedy.startswith("name in services.grpc the labels or annotations")

    def test_sends_no_calls_over_protocols_that_the_mesh_does_not_carry(self, context: RunContext) -> None:
        context = changed(context, protocols=("http", "tcp"))
        checks = [check.detail for check in preflight.examine(context) if check.name == "calls"]
        assert [detail.split()[3] for detail in checks] == ["http", "tcp"]


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        (
            "pods are forbidden: violates PodSecurity restricted",
            "set the Pod Security level that the mesh's containers need",
        ),
        ("pod a: Pending (0/1 nodes are available: 1 Insufficient cpu.)", "free capacity on the nodes"),
        ("pod a: probe: ErrImagePull", "name an image with Python 3.9 or later"),
        ("pod a: probe runs but is not ready", "check the profile's join section"),
    ],
)
def test_each_reason_of_unready_pods_has_its_remedy(
    context: RunContext, cluster: FakeCluster, message: str, remedy: str
) -> None:
    def refuse(item: Any) -> None:
        if item["kind"] == "Pod":
            raise ClusterError(message)

    cluster.on_apply = refuse
    (found,) = wrong(context)
    assert (found.name, found.detail) == ("joined", message)
    assert found.remedy.startswith(remedy)
    assert cluster.objects == {}
