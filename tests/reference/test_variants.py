"""Variants are what they say: each can be compiled with, and is not the mesh as it is."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from compiler_envoy import validate
from compiler_loopback import Authority
from compiler_worlds import group, namespace, rule, service, split, target, workload, world
from test_faults_sound import rich, stored

from conformance.drive import manifests
from smi_reference_mesh.compiler import compile
from smi_reference_mesh.compiler.configuration import Configuration
from smi_reference_mesh.compiler.mesh import mesh_of
from smi_reference_mesh.faults import FAULTS
from smi_reference_mesh.metrics import Figures
from smi_reference_mesh.spoiler import Faithful, Spoiler
from smi_reference_mesh.spoiling import load
from smi_reference_mesh.variants import VARIANTS
from smi_reference_mesh.variants.building import Together
from smi_reference_mesh.variants.proxies import SPEAKS
from smi_reference_mesh.variants.readings import of_traefik
from smi_reference_mesh.variants.timing import Late
from smi_reference_mesh.world import World

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
"""What is spoken in that world is told by names and appProtocols alike."""
TIMED = {one for one in VARIANTS if one.startswith("changes-")} | {"endpoints-late-with-retries"}
"""What differs in time shows nothing in a world that stays as it is."""
ELSEWHERE = {one.id for one in VARIANTS.values() if one.spoiler is Faithful} | {
    one for one in VARIANTS if one.startswith("metrics-")
}
"""What differs in the profile alone, or in the metrics API."""


def permissive() -> World:
    return rich().replacing("namespaces", [namespace(permissive=True)])


@pytest.fixture(scope="module")
def secrets() -> dict[str, JSON]:
    files = Authority().issue("spiffe://cluster.local/ns/shop/sa/client")
    resources = [json.loads(text)["resources"][0] for text in files.values()]
    return {each["name"]: {key: part for key, part in each.items() if key != "@type"} for each in resources}


def compiled(spoiler: Spoiler, truth: World, who: str) -> Configuration:
    shown = spoiler.world(truth)
    return spoiler.configuration(compile(shown, workload(who)), truth, workload(who))


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_envoy_accepts_what_a_variant_makes(variant: str, secrets: dict[str, JSON], tmp_path: Path) -> None:
    for truth, who in ((rich(), "v1"), (rich(), "client"), (permissive(), "v1")):
        assert validate(compiled(load(variant), truth, who), secrets, tmp_path) == ""


@pytest.mark.parametrize("variant", sorted(VARIANTS.keys() - TIMED - SPOKEN - ELSEWHERE))
def test_a_variant_is_not_the_mesh_as_it_is(variant: str) -> None:
    spoiler, plain = load(variant), Faithful()
    if any(spoiler.withholds(rich(), workload(who)) for who in ("client", "v1", "db")):
        return
    different = [
        who
        for truth in (rich(), permissive())
        for who in ("client", "v1", "db")
        if _seen(compiled(spoiler, truth, who)) != _seen(compiled(plain, truth, who))
    ]
    assert different


@pytest.mark.parametrize(
    ("variant", "spoken"), [("protocol-by-port-name", "tcp"), ("protocol-by-app-protocol", "http")]
)
def test_what_is_spoken_is_told_by_one_thing_alone(variant: str, spoken: str) -> None:
    odd = service("web", "10.1.0.1", {"name": "tcp-web", "port": 8080, "appProtocol": "http"})
    shown = load(variant).world(world(services=[odd]))
    (port,) = mesh_of(shown).services["shop", "web"].ports
    assert port.protocol == spoken


@pytest.mark.parametrize(("annotated", "spoken"), [({SPEAKS: "http"}, "http"), ({}, "tcp")])
def test_what_is_spoken_is_told_by_an_annotation(annotated: dict[str, str], spoken: str) -> None:
    odd = service("web", "10.1.0.1", {"name": "http", "port": 8080, "appProtocol": "http"})
    odd["metadata"]["annotations"] = annotated
    shown = load("protocol-by-annotation").world(world(services=[odd]))
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


def test_a_service_has_the_pods_of_one_account_alone() -> None:
    shown = load("one-account-behind-a-service").world(rich())
    behind = mesh_of(shown).services["shop", "web"].endpoints
    assert {each.ip for ready in behind.values() for each in ready} == {"10.0.0.11"}
    opened = load("one-account-behind-a-service").world(permissive())
    behind = mesh_of(opened).services["shop", "web"].endpoints
    assert {each.ip for ready in behind.values() for each in ready} == {"10.0.0.11", "10.0.0.12"}


def test_what_compiles_anew_does_so_with_all_that_goes_with_it() -> None:
    together = Together(*of_traefik())
    both = split("web.shop", {"v1": 1, "v2": 1})
    paths = group("routes", {"name": "m", "pathRegex": "/api", "methods": ["GET"]})
    grant = target("v1", ["client"], [rule("HTTPRouteGroup", "routes")])
    truth = world(both, split("web", {"v1": 1, "v2": 1}, name="whole"), paths, grant)
    text = json.dumps(dict(compiled(together, truth, "v1").routes))
    # The client may not call v2, so it gets none of the split; expressions go on all the same.
    assert '"/api.*"' in text
    routes = compiled(together, truth, "client").routes["outbound|shop|web|8080"]
    assert routes["virtual_hosts"][0]["routes"][0]["direct_response"] == {"status": 503}


def test_what_is_late_is_shown_once_its_time_has_come() -> None:
    now = [0.0]
    late = Late(3.0, clock=lambda: now[0])
    first = world(split("web", {"v1": 1}))
    assert late.world(first).of("trafficsplits") == first.of("trafficsplits")
    now[0] = 10.0
    second = first.replacing("trafficsplits", world(split("web", {"v2": 1})).of("trafficsplits"))
    assert late.world(second).of("trafficsplits") == first.of("trafficsplits")
    now[0] = 12.9
    assert not late.observe(Figures(), settled=True)
    now[0] = 13.0
    assert late.observe(Figures(), settled=True)
    assert late.world(second).of("trafficsplits") == second.of("trafficsplits")
    assert not late.observe(Figures(), settled=True)


def test_what_comes_and_goes_before_its_time_is_shown_in_its_turn() -> None:
    now = [0.0]
    late = Late(2.0, clock=lambda: now[0])
    worlds = [world(split("web", {name: 1})) for name in ("v1", "v2", "v1")]
    for moment, one in enumerate(worlds):
        now[0] = float(moment)
        late.world(one)
    shown = []
    for moment in (2.9, 3.0, 3.9, 4.0):
        now[0] = moment
        (seen,) = late.world(worlds[-1]).of("trafficsplits")
        shown.append(seen["spec"]["backends"][0]["service"])
    assert shown == ["v1", "v2", "v2", "v1"]


def test_proxies_hear_of_a_change_at_different_times() -> None:
    spoiler, before, after = load("changes-reach-each-proxy-at-another-time"), rich(), rich()
    whose = [workload(name) for name in ("client", "v1", "v2", "db")]
    after = before.replacing("trafficsplits", ())
    for truth in (before, after):
        shown = spoiler.world(truth)
        told = [
            spoiler.configuration(compile(shown, who), truth, who).files() == compile(before, who).files()
            for who in whose
        ]
    assert set(told) == {True, False}


def test_who_is_known_by_address_is_let_in_by_address_alone() -> None:
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


def test_a_workload_that_no_target_names_is_given_nothing() -> None:
    spoiler, without = load("ready-once-granted"), rich().replacing("traffictargets", ())
    assert spoiler.withholds(without, workload("client"))
    assert spoiler.withholds(without, workload("v2"))
    assert not spoiler.withholds(rich(), workload("client"))
    # What was given is not taken away.
    assert not spoiler.withholds(without, workload("client"))
    assert spoiler.withholds(rich(), workload("v2"))
    assert not spoiler.withholds(
        without.replacing("namespaces", [namespace(permissive=True)]), workload("v2")
    )


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


def test_variants_and_faults_have_names_of_their_own() -> None:
    assert not VARIANTS.keys() & FAULTS.keys()
    assert len(VARIANTS) >= 24


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_a_variant_leaves_what_it_was_given_as_it_was(variant: str) -> None:
    truth = rich()
    before = {who: compile(truth, workload(who)).files() for who in ("client", "v1")}
    for who in before:
        compiled(load(variant), truth, who)
    assert {who: compile(truth, workload(who)).files() for who in before} == before


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_a_variant_bears_what_the_specification_leaves_open(variant: str) -> None:
    spoiler, truth = load(variant), with_odd_ones()
    for who in ("client", "v1"):
        spoiler.withholds(truth, workload(who))
        assert compiled(spoiler, truth, who).files()["lds.json"]


@cache
def with_odd_ones() -> World:
    """A world with all that the scenarios of open questions apply, in the version that is stored."""
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
    truth = world(split("web", {"v2.elsewhere": 50, "v1": 50}))
    made = compiled(load("readings-of-osm"), truth, "client")
    clusters = _clusters(made.routes["outbound|shop|web|8080"])
    assert clusters == {"outbound|elsewhere|v2|8080", "outbound|shop|v1|8080"}


def _clusters(routes: Any) -> set[str]:
    """The names of all clusters that routes lead to."""
    if isinstance(routes, dict):
        shares = routes.get("weighted_clusters", {}).get("clusters", ())
        named = {routes["cluster"]} if isinstance(routes.get("cluster"), str) else set()
        return named.union({one["name"] for one in shares}, *map(_clusters, routes.values()))
    return set().union(*map(_clusters, routes)) if isinstance(routes, list | tuple) else set()
