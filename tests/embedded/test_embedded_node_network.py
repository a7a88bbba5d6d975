"""Connections between pods, to services and by names, and nowhere else."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from node_client import Node, Pod, fetched, pod

LINKS = """
import json, pyroute2
with pyroute2.IPRoute() as routes:
    print(json.dumps({one.get("ifname"): one.get("address") for one in routes.get_links()}))
"""
ADDED = """
import pyroute2
with pyroute2.IPRoute() as routes:
    (bridge,) = routes.link_lookup(ifname="pods")
    # Lower than all addresses that the kernel draws.
    low = {"ifname": "low", "address": "02:00:00:00:00:01", "master": bridge}
    routes.link("add", kind="veth", peer={"ifname": "lower"}, **low)
"""
REMOVED = """
import pyroute2
with pyroute2.IPRoute() as routes:
    routes.link("del", index=routes.link_lookup(ifname="low")[0])
"""


def links(node: Node) -> dict[str, str]:
    """The node's interfaces with their hardware addresses."""
    found: dict[str, str] = json.loads(node.python(LINKS))
    return found


@pytest.fixture(scope="module")
def servers(node: Node) -> list[Pod]:
    begun = [node.run(pod(f"server-{number}")) for number in range(3)]
    return [each.ready() for each in begun]


@pytest.fixture(scope="module")
def client(servers: list[Pod], node: Node) -> Pod:
    node.call(
        "route",
        services=[
            ["10.96.0.10", 80, [[each.address, 8080] for each in servers]],
            ["10.96.0.11", 80, []],
            ["10.96.0.12", 80, [[servers[0].address, 8080]]],
        ],
        names=[
            ["all.here", "10.96.0.10"],
            ["all", "10.96.0.10", "here"],
            ["first", "10.96.0.12", "elsewhere"],
        ],
    )
    return servers[0]


def test_pods_reach_each_other_and_see_each_others_addresses(client: Pod, servers: list[Pod]) -> None:
    (answer, _), *_ = fetched(client, [f"{servers[1].address}:8080"])
    assert answer == f"server-1 was asked by {client.address}"


def test_the_backends_of_a_service_are_equally_likely(client: Pod) -> None:
    answers = Counter(answer.split()[0] for answer, _ in fetched(client, ["all.here"] * 600))
    assert set(answers) == {"server-0", "server-1", "server-2"}
    # Five standard deviations of 600 draws at one third: of ten million runs six would fail.
    assert all(abs(count - 200) < 58 for count in answers.values())


def test_a_pod_that_reaches_itself_by_its_service_gets_its_answer_from_the_node(client: Pod) -> None:
    assert [answer for answer, _ in fetched(client, ["10.96.0.12"])] == ["server-0 was asked by 10.244.0.1"]


@pytest.mark.parametrize(
    ("host", "error"),
    [
        ("10.96.0.11", "ConnectionRefusedError"),
        ("10.96.0.10:81", "ConnectionRefusedError"),
        ("10.96.77.77", "ConnectionRefusedError"),
        ("192.0.2.1", "OSError"),
        ("10.244.9.9:8080", "OSError"),
        ("first", "gaierror"),
        ("example.org", "gaierror"),
    ],
    ids=[
        "a service without backends",
        "a port that the service has not",
        "no service",
        "the world outside",
        "no pod",
        "a name of another namespace",
        "a name of the world outside",
    ],
)
def test_a_connection_without_a_backend_is_refused_at_once(client: Pod, host: str, error: str) -> None:
    ((answer, seconds),) = fetched(client, [host])
    assert answer == error
    assert seconds < 1.5


def test_names_are_known_in_their_namespace_alone(client: Pod, node: Node) -> None:
    elsewhere = node.run(pod("caller", namespace="elsewhere")).ready()
    answers = [answer.split("-")[0] for answer, _ in fetched(elsewhere, ["first", "all.here", "all"])]
    assert answers == ["server", "server", "gaierror"]


def test_a_pod_knows_its_own_name(client: Pod) -> None:
    assert client.says("hostname") == "server-0\n"
    assert client.says("getent", "hosts", "server-0").split() == [client.address, "server-0"]


def test_new_routes_replace_the_old(node: Node) -> None:
    server = node.run(pod("later", namespace="later")).ready()
    for name, address in (("one", "10.96.1.1"), ("two", "10.96.1.2")):
        node.call("route", services=[[address, 80, [[server.address, 8080]]]], names=[[name, address]])
        ((answer, _),) = fetched(server, [name])
        assert answer == "later was asked by 10.244.0.1"
    assert [answer for answer, _ in fetched(server, ["one", "10.96.1.1"])] == [
        "gaierror",
        "ConnectionRefusedError",
    ]


def test_there_is_no_interface_to_the_machine(node: Node) -> None:
    assert {name.partition("-")[0] for name in links(node)} == {"lo", "pods", "pod"}


def test_the_node_keeps_its_hardware_address_as_interfaces_come_and_go(client: Pod, node: Node) -> None:
    before = links(node)
    node.python(ADDED)
    between = links(node)
    node.python(REMOVED)
    assert between["low"] == "02:00:00:00:00:01"
    assert between["pods"] == before["pods"] not in {between[name] for name in between if name != "pods"}
