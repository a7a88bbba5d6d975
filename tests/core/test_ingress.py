"""The ingress of a mesh: what a profile says of it, the objects for it, and runs with one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from conformance.drive.ingress import granted, with_ingress_class
from conformance.drive.manifests import load
from conformance.profiles import Ingress, IngressAccount, parse
from conformance.run import preflight
from conformance.run.context import RunContext

from .conftest import PROFILE, Bench
from .fake_cluster import FakeCluster
from .fake_mesh import INGRESS

SUITE = "traffic_split/test_ingress.py"
REQUIREMENT = "split-ingress-client"
SECTION = """
ingress:
  class_name: fake
  service: {namespace: fake-mesh, name: gate, port: 80}
  annotations: {fake.example/meshed: "true"}
"""
ACCOUNT = "  account: {namespace: fake-mesh, name: gate}\n"
FOLDER = "traffic-split/ingress"


def named(text: str = SECTION) -> Ingress:
    ingress = parse(PROFILE + text, "fake").ingress
    assert ingress is not None
    return ingress


def gate(port: int = 80) -> dict[str, Any]:
    name, namespace = INGRESS
    ports = [{"port": port, "targetPort": 8080}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"selector": {"app": "gate"}, "ports": ports},
    }


def test_a_profile_names_none_unless_it_does() -> None:
    assert parse(PROFILE, "fake").ingress is None
    small = named("ingress: {class_name: fake, service: {namespace: a, name: b}}")
    assert (small.service.port, small.annotations, small.account) == (80, {}, None)


def test_an_ingress_object_gets_its_class_and_annotations_and_the_fixture_stays() -> None:
    (item,) = load(f"{FOLDER}/1-ingress.yaml")
    made = with_ingress_class(item, named())
    assert made["spec"]["ingressClassName"] == "fake"
    assert made["metadata"]["annotations"] == {"fake.example/meshed": "true"}
    assert "ingressClassName" not in item["spec"]
    assert "annotations" not in item["metadata"]
    bare = with_ingress_class(item, named().model_copy(update={"annotations": {}}))
    assert "annotations" not in bare["metadata"]


def test_permits_are_for_the_account_of_the_ingress_alone() -> None:
    account = IngressAccount(namespace="fake-mesh", name="gate")
    made = [granted(item, account) for item in load(f"{FOLDER}/permits.yaml")]
    source = {"kind": "ServiceAccount", "namespace": "fake-mesh", "name": "gate"}
    assert [one["spec"]["sources"] for one in made] == [[source]]
    called = {one["spec"]["destination"]["name"] for one in made}
    assert called == {"server"}


def with_ingress(context: RunContext) -> RunContext:
    return replace(context, profile=context.profile.model_copy(update={"ingress": named()}))


class TestTheDoctor:
    def checked(self, context: RunContext) -> preflight.Check:
        context = with_ingress(context)
        return preflight.ingress(context)

    def test_says_where_it_is(self, context: RunContext, cluster: FakeCluster) -> None:
        cluster.apply([gate()])
        check = self.checked(context)
        assert (check.ok, check.detail) == (True, "service gate in fake-mesh exists, for the class fake")

    def test_says_that_it_is_not_there(self, context: RunContext) -> None:
        check = self.checked(context)
        assert (check.ok, check.detail) == (False, "service gate in fake-mesh: HTTP 404")
        assert "ingress.service" in check.remedy

    def test_says_which_ports_it_has_instead(self, context: RunContext, cluster: FakeCluster) -> None:
        cluster.apply([gate(port=8443)])
        check = self.checked(context)
        assert (check.ok, check.detail) == (False, "service gate in fake-mesh has no port 80; it has 8443")

    def test_asks_for_the_rights_to_try_it(self, context: RunContext, cluster: FakeCluster) -> None:
        cluster.apply([gate()])
        cluster.forbidden = frozenset({("create", "ingresses")})
        assert preflight.permitted(context, ["split"]).ok
        context = with_ingress(context)
        lacking = preflight.permitted(context, ["split"])
        assert lacking.detail == "not permitted: create ingresses.networking.k8s.io"


@pytest.fixture
def entered(bench: Bench) -> Bench:
    """A bench whose mesh has an ingress."""
    bench.profile.write_text(PROFILE + SECTION, encoding="utf-8")
    return bench


class TestARun:
    def test_passes_an_ingress_that_follows_the_split_and_leaves_nothing(self, entered: Bench) -> None:
        entered.suite(SUITE)
        record = entered.record(REQUIREMENT)
        assert record.outcome == "pass"
        (test,) = record.tests
        sample = next(one for one in test.evidence if one.name == "sample")
        assert "host: entered.smi-main-r1.test" in str(sample.value.call)
        assert "Ingress/smi-main-r1/entered" in entered.cluster.created
        assert entered.cluster.objects == {}

    def test_blames_an_ingress_that_balances_over_the_roots_endpoints(self, entered: Bench) -> None:
        entered.cluster.mesh.ingress = "balances"
        entered.suite(SUITE)
        assert entered.outcome(REQUIREMENT) == "fail"

    def test_blames_nobody_for_an_ingress_that_does_not_serve(self, entered: Bench) -> None:
        entered.cluster.mesh.ingress = "sleeps"
        entered.suite(SUITE)
        record = entered.record(REQUIREMENT)
        assert record.outcome == "inconclusive"
        assert "did not lead to the root within 60 s" in record.tests[0].summary

    def test_claims_nothing_of_a_mesh_without_one(self, bench: Bench) -> None:
        bench.suite(SUITE)
        record = bench.record(REQUIREMENT)
        assert record.outcome == "not claimed"
        assert "the profile names no ingress" in record.tests[0].summary

    def test_has_its_calls_permitted_where_no_namespace_can_be_opened(self, entered: Bench) -> None:
        closed = PROFILE.replace("access: {open: {}}", "access: {default: deny}")
        entered.profile.write_text(closed + SECTION + ACCOUNT, encoding="utf-8")
        entered.suite(SUITE)
        assert entered.outcome(REQUIREMENT) == "pass"
        assert "TrafficTarget/smi-main-r1/entered" in entered.cluster.created

    def test_is_not_asked_where_nobody_could_permit_them(self, entered: Bench) -> None:
        closed = PROFILE.replace("access: {open: {}}", "access: {default: deny}")
        entered.profile.write_text(closed + SECTION, encoding="utf-8")
        entered.suite(SUITE)
        record = entered.record(REQUIREMENT)
        assert record.outcome == "not claimed"
        assert "names no account" in record.tests[0].summary
