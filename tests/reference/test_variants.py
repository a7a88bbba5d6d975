"""Variants compile, and differ from the mesh."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from compiler_envoy import validate
from compiler_loopback import CertificateAuthority
from compiler_snapshots import group, namespace, rule, service, snapshot, split, target, workload
from test_faults_sound import rich, stored

from conformance.drive import manifests
from smi_reference_mesh.compiler import compile
from smi_reference_mesh.compiler.configuration import Configuration
from smi_reference_mesh.compiler.mesh import mesh_of
from smi_reference_mesh.control_plane.fault_loading import load
from smi_reference_mesh.faults import FAULTS
from smi_reference_mesh.hooks import DefaultHooks, MeshHooks
from smi_reference_mesh.kube.snapshot import ClusterSnapshot
from smi_reference_mesh.metrics.windowed_counts import WindowedCounts
from smi_reference_mesh.variants import VARIANTS
from smi_reference_mesh.variants.building_blocks import Together
from smi_reference_mesh.variants.proxies import SPEAKS
from smi_reference_mesh.variants.readings import of_traefik
from smi_reference_mesh.variants.timing import Late

JSON = dict[str, Any]
FIXTURES = Path(__file__).parents[2] / "fixtures"
ODD = sorted(path.relative_to(FIXTURES) for path in FIXTURES.glob("traffic-*/odd-*"))
PLURALS = {
    "TrafficSplit": "trafficsplits",
    "TrafficTarget": "traffictargets",
    "HTTPRouteGroup": "httproutegroups",
    "TCPRoute": "tcproutes",
}
SPOKEN = {"protocol-by-port-name", "protocol-by-app-protocol"}
"""Variants whose protocols agree between names and appProtocols in that snapshot."""
TIMED = {one for one in VARIANTS if one.startswith("changes-")} | {"endpoints-late-with-retries"}
"""Variants of timing, without effect on an unchanged snapshot."""
ELSEWHERE = {one.id for one in VARIANTS.values() if one.hooks is DefaultHooks} | {
    one for one in VARIANTS if one.startswith("metrics-")
}
"""Variants that differ only in the profile or in the metrics API."""


def permissive() -> ClusterSnapshot:
    return rich().replacing("namespaces", [namespace(permissive=True)])


@pytest.fixture(scope="module")
def secrets() -> dict[str, JSON]:
    files = CertificateAuthority().issue("spiffe://cluster.local/ns/shop/sa/client")
    resources = [json.loads(text)["resources"][0] for text in files.values()]
    return {each["name"]: {key: part for key, part in each.items() if key != "@type"} for each in resources}


def compiled(hooks: MeshHooks, truth: ClusterSnapshot, who: str) -> Configuration:
    shown = hooks.snapshot(truth)
    return hooks.configuration(compile(shown, workload(who)), truth, workload(who))


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_envoy_accepts_the_configurations_of_variants(
    variant: str, secrets: dict[str, JSON], tmp_path: Path
) -> None:
    for truth, who in ((rich(), "v1"), (rich(), "client"), (permissive(), "v1")):
        assert validate(compiled(load(variant), truth, who), secrets, tmp_path) == ""


@pytest.mark.parametrize("variant", sorted(VARIANTS.keys() - TIMED - SPOKEN - ELSEWHERE))
def test_a_variant_differs_from_the_mesh(variant: str) -> None:
    hooks, plain = load(variant), DefaultHooks()
    if any(hooks.withholds(rich(), workload(who)) for who in ("client", "v1", "db")):
        return
    different = [
        who
        for truth in (rich(), permissive())
        for who in ("client", "v1", "db")
        if _seen(compiled(hooks, truth, who)) != _seen(compiled(plain, truth, who))
    ]
    assert different


@pytest.mark.parametrize(
    ("variant", "spoken"), [("protocol-by-port-name", "tcp"), ("protocol-by-app-protocol", "http")]
)
def test_a_single_property_determines_the_protocol(variant: str, spoken: str) -> None:
    odd = service("web", "10.1.0.1", {"name": "tcp-web", "port": 8080, "appProtocol": "http"})
    shown = load(variant).snapshot(snapshot(services=[odd]))
    (port,) = mesh_of(shown).services["shop", "web"].ports
    assert port.protocol == spoken


@pytest.mark.parametrize(("annotated", "spoken"), [({SPEAKS: "http"}, "http"), ({}, "tcp")])
def test_an_annotation_determines_the_protocol(annotated: dict[str, str], spoken: str) -> None:
    odd = service("web", "10.1.0.1", {"name": "http", "port": 8080, "appProtocol": "http"})
    odd["metadata"]["annotations"] = annotated
    shown = load("protocol-by-annotation").snapshot(snapshot(services=[odd]))
    (port,) = mesh_of(shown).services["shop", "web"].ports
    assert port.protocol == spoken


@pytest.mark.parametrize(
    ("variant", "leads_to", "open_to_plaintext"),
    [("http-alone-is-carried", "blackhole", False), ("http-alone-is-governed", "passthrough", True)],
)
def test_raw_tcp_is_refused_or_passes_where_http_alone_is_carried(
    variant: str, leads_to: str, open_to_plaintext: bool
) -> None:
    def chains(who: str, listener: str) -> dict[str, Any]:
        (one,) = (each for each in compiled(load(variant), rich(), who).listeners if each["name"] == listener)
        return {each["name"]: each for each in one["filter_chains"]}

    outbound, inbound = chains("client", "outbound"), chains("db", "inbound")
    (raw,) = outbound["outbound|shop|db|9000"]["filters"]
    assert raw["typed_config"]["cluster"] == leads_to
    assert "http_connection_manager" in outbound["outbound|shop|v1|8080"]["filters"][0]["name"]
    assert ("inbound|9000|plaintext" in inbound) == open_to_plaintext


def test_a_service_has_only_pods_of_one_account() -> None:
    shown = load("one-account-behind-a-service").snapshot(rich())
    behind = mesh_of(shown).services["shop", "web"].endpoints
    assert {each.ip for ready in behind.values() for each in ready} == {"10.0.0.11"}
    opened = load("one-account-behind-a-service").snapshot(permissive())
    behind = mesh_of(opened).services["shop", "web"].endpoints
    assert {each.ip for ready in behind.values() for each in ready} == {"10.0.0.11", "10.0.0.12"}


def test_variants_that_recompile_include_their_other_edits() -> None:
    together = Together(*of_traefik())
    both = split("web.shop", {"v1": 1, "v2": 1})
    paths = group("routes", {"name": "m", "pathRegex": "/api", "methods": ["GET"]})
    grant = target("v1", ["client"], [rule("HTTPRouteGroup", "routes")])
    truth = snapshot(both, split("web", {"v1": 1, "v2": 1}, name="whole"), paths, grant)
    text = json.dumps(dict(compiled(together, truth, "v1").routes))
    # The client may not call v2, so it gets no backend; expressions still apply.
    assert '"/api.*"' in text
    routes = compiled(together, truth, "client").routes["outbound|shop|web|8080"]
    assert routes["virtual_hosts"][0]["routes"][0]["direct_response"] == {"status": 503}


def test_a_late_change_shows_after_its_delay() -> None:
    now = [0.0]
    late = Late(3.0, clock=lambda: now[0])
    first = snapshot(split("web", {"v1": 1}))
    assert late.snapshot(first).of("trafficsplits") == first.of("trafficsplits")
    now[0] = 10.0
    second = first.replacing("trafficsplits", snapshot(split("web", {"v2": 1})).of("trafficsplits"))
    assert late.snapshot(second).of("trafficsplits") == first.of("trafficsplits")
    now[0] = 12.9
    assert not late.observe(WindowedCounts(), settled=True)
    now[0] = 13.0
    assert late.observe(WindowedCounts(), settled=True)
    assert late.snapshot(second).of("trafficsplits") == second.of("trafficsplits")
    assert not late.observe(WindowedCounts(), settled=True)


def test_a_late_change_shows_even_if_already_undone() -> None:
    now = [0.0]
    late = Late(2.0, clock=lambda: now[0])
    snapshots = [snapshot(split("web", {name: 1})) for name in ("v1", "v2", "v1")]
    for moment, one in enumerate(snapshots):
        now[0] = float(moment)
        late.snapshot(one)
    shown = []
    for moment in (2.9, 3.0, 3.9, 4.0):
        now[0] = moment
        (seen,) = late.snapshot(snapshots[-1]).of("trafficsplits")
        shown.append(seen["spec"]["backends"][0]["service"])
    assert shown == ["v1", "v2", "v2", "v1"]


def test_proxies_get_a_change_at_different_times() -> None:
    hooks, before, after = load("changes-reach-each-proxy-at-another-time"), rich(), rich()
    whose = [workload(name) for name in ("client", "v1", "v2", "db")]
    after = before.replacing("trafficsplits", ())
    for truth in (before, after):
        shown = hooks.snapshot(truth)
        told = [
            hooks.configuration(compile(shown, who), truth, who).files() == compile(before, who).files()
            for who in whose
        ]
    assert set(told) == {True, False}


def test_identity_by_address_grants_by_address_only() -> None:
    configuration = compiled(load("identity-by-address"), rich(), "v1")
    (inbound,) = (one for one in configuration.listeners if one["name"] == "inbound")
    text = json.dumps([inbound, list(configuration.clusters), dict(configuration.routes)])
    assert "spiffe://" not in text
    assert '"transport_socket"' not in text
    assert "tls_inspector" not in text
    chains = {one["name"]: one["filter_chain_match"] for one in inbound["filter_chains"]}
    sources = [one["address_prefix"] for one in chains["inbound|8080"]["source_prefix_ranges"]]
    assert sources == ["10.0.0.1", "10.0.0.11", "10.0.0.12", "10.0.0.21"]
    (host,) = configuration.routes["inbound|8080"]["virtual_hosts"]
    (override,) = host["typed_per_filter_config"].values()
    told = [policy["principals"] for policy in override["rbac"]["rules"]["policies"].values()]
    client = {"direct_remote_ip": {"address_prefix": "10.0.0.1", "prefix_len": 32}}
    assert told
    assert all(each == [{"or_ids": {"ids": [client]}}] for each in told)


def test_a_workload_without_a_target_gets_no_configuration() -> None:
    hooks, without = load("ready-once-granted"), rich().replacing("traffictargets", ())
    assert hooks.withholds(without, workload("client"))
    assert hooks.withholds(without, workload("v2"))
    assert not hooks.withholds(rich(), workload("client"))
    # A configuration once sent is not withdrawn.
    assert not hooks.withholds(without, workload("client"))
    assert hooks.withholds(rich(), workload("v2"))
    assert not hooks.withholds(without.replacing("namespaces", [namespace(permissive=True)]), workload("v2"))


def test_the_first_grant_names_every_account_under_access_control() -> None:
    (first,) = VARIANTS["ready-once-granted"].profile["join"]["objects"]
    named = {one["name"] for one in first["spec"]["sources"]}
    accounts = {
        item["metadata"]["name"]
        for part in ("access", "udp")
        for item in manifests.load(f"workloads/{part}.yaml")
        if item["kind"] == "ServiceAccount"
    }
    assert accounts <= named


def _seen(configuration: Configuration) -> tuple[object, ...]:
    return configuration.files(), configuration.problems


def test_ids_of_variants_and_faults_are_unique() -> None:
    assert not VARIANTS.keys() & FAULTS.keys()
    assert len(VARIANTS) >= 24


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_a_variant_does_not_mutate_its_input(variant: str) -> None:
    truth = rich()
    before = {who: compile(truth, workload(who)).files() for who in ("client", "v1")}
    for who in before:
        compiled(load(variant), truth, who)
    assert {who: compile(truth, workload(who)).files() for who in before} == before


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_a_variant_supports_the_objects_of_open_questions(variant: str) -> None:
    hooks, truth = load(variant), with_odd_ones()
    for who in ("client", "v1"):
        hooks.withholds(truth, workload(who))
        assert compiled(hooks, truth, who).files()["lds.json"]


@cache
def with_odd_ones() -> ClusterSnapshot:
    """A snapshot with all objects of the scenarios of open questions, in the stored version."""
    found = rich()
    for folder in ODD:
        for file in sorted((FIXTURES / folder).glob("[0-9]*.yaml")):
            for number, item in enumerate(yaml.safe_load_all(file.read_text())):
                plural = PLURALS.get((item or {}).get("kind", ""))
                if plural:
                    one = stored(item, f"{folder}-{file.name}-{number}")
                    one["metadata"]["namespace"] = "shop"
                    found = found.replacing(plural, [*found.of(plural), one])
    return found


def test_a_backend_of_another_namespace_is_reached_as_open_service_mesh_reaches_it() -> None:
    truth = snapshot(split("web", {"v2.elsewhere": 50, "v1": 50}))
    made = compiled(load("readings-of-osm"), truth, "client")
    clusters = _clusters(made.routes["outbound|shop|web|8080"])
    assert clusters == {"outbound|elsewhere|v2|8080", "outbound|shop|v1|8080"}


def _clusters(routes: Any) -> set[str]:
    """The names of all clusters in routes."""
    if isinstance(routes, dict):
        shares = routes.get("weighted_clusters", {}).get("clusters", ())
        named = {routes["cluster"]} if isinstance(routes.get("cluster"), str) else set()
        return named.union({one["name"] for one in shares}, *map(_clusters, routes.values()))
    return set().union(*map(_clusters, routes)) if isinstance(routes, list | tuple) else set()
