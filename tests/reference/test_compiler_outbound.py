"""The destinations of a workload, and the identities that it requires of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from compiler_snapshots import (
    endpoint_slice,
    service,
    snapshot,
    split,
    tcp,
    workload,
)
from compiler_views import (
    SPIFFE,
    addresses,
    chain,
    chain_names,
    compiled,
    endpoints,
)

from smi_reference_mesh.compiler import compile

JSON = dict[str, Any]


def test_only_ready_endpoints_count() -> None:
    v1 = snapshot().of("pods")[2]
    web = snapshot().of("services")[0]
    made = endpoint_slice(dict(web), dict(v1), ready=False)
    assert addresses(compiled(endpointslices=[made]), "outbound|shop|web|8080") == []
    del made["endpoints"][0]["conditions"]
    assert addresses(compiled(endpointslices=[made]), "outbound|shop|web|8080") == [("10.0.0.11", 8080)]


def test_only_meshed_endpoints_are_marked_for_mesh_tls() -> None:
    configuration = compiled()

    def marked(name: str) -> bool:
        return all("metadata" in each for each in endpoints(configuration, name))

    assert marked("outbound|shop|v1|8080")
    assert not marked("outbound|shop|plain|8080")


def test_servers_must_present_an_identity_of_the_service() -> None:
    def trusted(name: str) -> set[str]:
        (cluster,) = (each for each in compiled().clusters if each["name"] == name)
        (mesh,) = cluster["transport_socket_matches"]
        tls = mesh["transport_socket"]["typed_config"]["common_tls_context"]
        names = tls["combined_validation_context"]["default_validation_context"]
        return {each["matcher"]["exact"] for each in names["match_typed_subject_alt_names"]}

    assert trusted("outbound|shop|web|8080") == {f"{SPIFFE}v1", f"{SPIFFE}v2"}
    assert trusted("outbound|shop|plain|8080") == {"spiffe://nobody"}


def test_a_service_without_selector_accepts_no_identity() -> None:
    by_hand = service("v1", "10.1.0.11", selector={})
    made = [endpoint_slice(by_hand, dict(snapshot().of("pods")[2]))]
    configuration = compiled(services=[by_hand], endpointslices=made)
    (cluster,) = (each for each in configuration.clusters if each["name"] == "outbound|shop|v1|8080")
    assert "spiffe://nobody" in json.dumps(cluster)
    assert f"{SPIFFE}v1" not in json.dumps(cluster)


@pytest.mark.parametrize(
    ("name", "app_protocol", "spoken"),
    [
        ("anything", None, "http"),
        ("", None, "http"),
        ("tcp", None, "tcp"),
        ("tcp-data", None, "tcp"),
        ("tcpdump", None, "http"),
        ("https", None, "tcp"),
        ("http", "tcp", "tcp"),
        ("tcp", "http", "http"),
        ("x", "kubernetes.io/h2c", "http"),
        ("x", "HTTP", "http"),
        ("x", "grpc", "http"),
        ("http", "postgresql", "tcp"),
    ],
)
def test_a_ports_protocol_comes_from_app_protocol_then_its_name(
    name: str, app_protocol: str | None, spoken: str
) -> None:
    port = {"name": name, "port": 8080, "appProtocol": app_protocol}
    configuration = compiled(services=[service("v1", "10.1.0.11", port)])
    (handler,) = chain(configuration, "outbound", "outbound|shop|v1|8080")["filters"]
    assert ("http" if "rds" in handler["typed_config"] else "tcp") == spoken


def test_udp_ports_are_left_alone() -> None:
    dns = {**tcp(53, "dns"), "protocol": "UDP"}
    configuration = compiled(services=[service("v1", "10.1.0.11", dns, tcp(54, "x"))])
    names = [name for name in chain_names(configuration, "outbound") if "v1" in name]
    assert names == ["outbound|shop|v1|54"]


def test_services_of_other_namespaces_are_left_alone() -> None:
    services = [service("web", "10.9.0.1", space="other")]
    assert [name for name in chain_names(compiled(services=services), "outbound") if "web" in name] == []


def test_two_services_with_one_address_do_not_void_the_listener() -> None:
    names = chain_names(compiled(services=[service("a", "10.1.0.1"), service("b", "10.1.0.1")]), "outbound")
    assert "outbound|shop|a|8080" in names
    assert "outbound|shop|b|8080" not in names


def test_meshed_pods_are_reached_by_their_own_address() -> None:
    ranges = chain(compiled(), "outbound", "pods")["filter_chain_match"]["prefix_ranges"]
    found = {each["address_prefix"] for each in ranges}
    assert "10.0.0.11" in found
    assert "10.0.0.31" not in found


def test_the_outbound_half_is_the_same_for_all_workloads() -> None:
    shared = snapshot(split("web", {"v1": 1}))
    one, two = (compile(shared, workload(who)) for who in ("client", "v1"))
    assert one.routes["outbound|shop|web|8080"] is two.routes["outbound|shop|web|8080"]
    assert one.listeners[1] is two.listeners[1]
