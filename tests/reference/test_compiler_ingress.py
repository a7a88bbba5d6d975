"""The configuration of the ingress: routes by Ingress objects, divided like any client's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from compiler_snapshots import snapshot, split, workload
from ingress_snapshots import INGRESS_POD, ingress, ingress_pod, path

from smi_reference_mesh.compiler import compile
from smi_reference_mesh.compiler.configuration import Configuration
from smi_reference_mesh.kube.snapshot import ClusterSnapshot
from smi_reference_mesh.membership import is_ingress, is_meshed

JSON = dict[str, Any]


def entered(*policies: JSON, ingresses: list[JSON]) -> ClusterSnapshot:
    pods = [*map(dict, snapshot().of("pods")), ingress_pod()]
    return snapshot(*policies, pods=pods, ingresses=ingresses)


def compiled(*ingresses: JSON, policies: tuple[JSON, ...] = ()) -> Configuration:
    return compile(entered(*policies, ingresses=list(ingresses)), INGRESS_POD)


def hosts(configuration: Configuration) -> dict[str, list[JSON]]:
    """The routes of each host."""
    return {
        domain: host["routes"]
        for host in configuration.routes["ingress"]["virtual_hosts"]
        for domain in host["domains"]
    }


def problems(configuration: Configuration) -> list[str]:
    assert {each.kind for each in configuration.problems} <= {"Ingress"}
    return [f"{each.namespace}/{each.name}: {each.message}" for each in configuration.problems]


def test_a_pod_is_an_ingress_by_its_annotation() -> None:
    assert is_ingress(ingress_pod())
    assert not is_meshed(ingress_pod())
    assert not is_ingress(dict(snapshot().of("pods")[0]))


def test_without_ingress_objects_the_listener_has_no_routes() -> None:
    configuration = compiled()
    (listener,) = configuration.listeners
    assert listener["address"]["socket_address"] == {"address": "0.0.0.0", "port_value": 8080}
    assert (configuration.clusters, hosts(configuration)) == ((), {})
    assert compiled(policies=(split("web", {"v1": 1}),)).files() == configuration.files()


def test_a_host_leads_to_its_service_by_the_routes_of_every_client() -> None:
    policy = split("web", {"v1": 1, "v2": 3})
    configuration = compiled(ingress(), policies=(policy,))
    client = compile(entered(policy, ingresses=[]), workload("client"))
    (routes,) = (each["routes"] for each in client.routes["outbound|shop|web|8080"]["virtual_hosts"])
    assert hosts(configuration) == {"shop.test": routes}


def test_the_ingress_gets_only_the_clusters_of_its_hosts() -> None:
    alone = compiled(ingress())
    assert [each["name"] for each in alone.clusters] == ["outbound|shop|web|8080"]
    divided = compiled(ingress(), policies=(split("web", {"v1": 1, "v2": 3, "absent": 1}),))
    names = ["outbound|shop|v1|8080", "outbound|shop|v2|8080"]
    assert sorted(each["name"] for each in divided.clusters) == names
    assert all("spiffe://cluster.local/ns/shop/sa/v" in json.dumps(each) for each in divided.clusters)


def test_a_rule_without_a_host_is_for_every_host_and_a_port_may_have_a_name() -> None:
    assert list(hosts(compiled(ingress(host=None, port="http")))) == ["*"]


def test_the_older_of_two_rules_for_a_host_wins() -> None:
    late = ingress("v2", name="a", created="2024-02-01T00:00:00Z")
    configuration = compiled(late, ingress("v1", name="b"))
    (route,) = hosts(configuration)["shop.test"]
    assert route["route"]["cluster"] == "outbound|shop|v1|8080"
    assert problems(configuration) == ["shop/a: an older rule has the host shop.test"]


def test_objects_of_other_classes_are_left_alone() -> None:
    configuration = compiled(ingress(class_name="other"))
    assert (hosts(configuration), configuration.problems) == ({}, ())


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        (ingress("absent"), "service absent does not exist in a meshed namespace"),
        (ingress(port=9), "service web does not expose the port"),
        (ingress(tls=[{"hosts": ["shop.test"]}]), "TLS is not served"),
        (ingress(rules=[{"host": "x"}]), "a rule is served that has one path, / of type Prefix"),
        (
            ingress(rules=[{"http": {"paths": [path("web", path="/x")]}}]),
            "a rule is served that has one path, / of type Prefix",
        ),
        (
            ingress(rules=[{"http": {"paths": [path("web", pathType="Exact")]}}]),
            "a rule is served that has one path, / of type Prefix",
        ),
        (
            ingress(rules=[{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {}}]}}]),
            "a rule is served that leads to a service",
        ),
    ],
)
def test_unsupported_rules_become_problems_and_affect_nothing_else(made: JSON, problem: str) -> None:
    configuration = compiled(made, ingress(name="sound", host="sound.test"))
    assert list(hosts(configuration)) == ["sound.test"]
    assert problems(configuration) == [f"shop/shop: {problem}"]


def test_ingress_rules_use_http_regardless_of_the_services_protocol() -> None:
    (route,) = hosts(compiled(ingress("db", port=9000)))["shop.test"]
    assert route["route"]["cluster"] == "outbound|shop|db|9000"


def test_ingress_objects_do_not_change_sidecars() -> None:
    with_one = compile(entered(ingresses=[ingress()]), workload("client"))
    assert with_one.files() == compile(entered(ingresses=[]), workload("client")).files()
