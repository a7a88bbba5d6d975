"""UDP in compiled configurations: ports with a listener, and the accepted senders."""

from __future__ import annotations

from typing import Any

import pytest
from compiler_snapshots import binding, pod, rule, target, tcp_route, udp_route
from compiler_views import EVERYTHING, OPEN, compiled

from smi_reference_mesh.compiler.configuration import Configuration
from smi_reference_mesh.membership import udp_ports_of
from smi_reference_mesh.names import UDP_PORTS

CLIENT, STRANGER = "10.0.0.1", "10.0.0.2"
PODS = [
    pod("client", CLIENT),
    pod("stranger", STRANGER),
    pod("outsider", "10.0.0.3", account="client", meshed=False),
    pod("echo", "10.0.0.11", ports={"tcp": 9000}, udp=(9000, 9001)),
]
UDP = rule("UDPRoute", "route")


def echo(*policies: dict[str, Any], **more: Any) -> Configuration:
    return compiled(*policies, who="echo", pods=PODS, services=[], endpointslices=[], **more)


def opened(configuration: Configuration) -> dict[str, tuple[int, set[str] | None]]:
    """By cluster, its redirected port and the permitted addresses; None for all."""
    found: dict[str, tuple[int, set[str] | None]] = {}
    for listener in configuration.listeners:
        if "udp_listener_config" in listener:
            address = listener["address"]["socket_address"]
            assert (address["protocol"], address["address"]) == ("UDP", "0.0.0.0")
            (proxy,) = listener["listener_filters"]
            matcher = proxy["typed_config"]["matcher"]
            if "on_no_match" in matcher:
                assert "matcher_tree" not in matcher
                actions, sources = {"": matcher["on_no_match"]}, None
            else:
                actions = matcher["matcher_tree"]["exact_match_map"]["map"]
                sources = set(actions)
            (cluster,) = {action["action"]["typed_config"]["cluster"] for action in actions.values()}
            found[cluster] = (address["port_value"], sources)
    clusters = {each["name"] for each in configuration.clusters if each["name"].startswith("datagrams|")}
    assert clusters == found.keys()
    return found


def test_nothing_listens_where_nobody_may_call() -> None:
    assert opened(echo()) == {}
    assert opened(echo(udp_route("route"), target("echo", ["nobody"], [UDP]))) == {}


def test_each_declared_port_has_its_own_listener() -> None:
    granted = echo(udp_route("route", 9001), target("echo", ["client"], [UDP]))
    assert opened(granted) == {"datagrams|9001": (15101, {CLIENT})}
    every = echo(udp_route("route"), target("echo", ["client", "stranger"], [UDP]))
    both = {CLIENT, STRANGER}
    assert opened(every) == {"datagrams|9000": (15100, both), "datagrams|9001": (15101, both)}


@pytest.mark.parametrize(
    "policies",
    [
        (tcp_route("route"), target("echo", ["client"], [rule("TCPRoute", "route")])),
        (EVERYTHING, target("echo", ["client"], [OPEN])),
        (target("echo", ["client"], [UDP]),),
    ],
    ids=["a TCPRoute", "an HTTPRouteGroup", "a UDPRoute that does not exist"],
)
def test_nothing_else_opens_udp(policies: tuple[dict[str, Any], ...]) -> None:
    assert opened(echo(*policies)) == {}


def test_a_udp_route_opens_neither_tcp_nor_http() -> None:
    configuration = echo(udp_route("route"), target("echo", ["client"], [UDP]))
    (inbound,) = (each for each in configuration.listeners if each["name"] == "inbound")
    assert "sa/client" not in str(inbound)


def test_a_binding_to_pods_permits_their_addresses() -> None:
    source = {"kind": "IdentityBinding", "name": "some", "namespace": "shop"}
    policies = (
        udp_route("route", 9000),
        binding("some", podLabelSelectors=[{"matchLabels": {"app": "stranger"}}]),
    )
    assert opened(echo(*policies, target("echo", [source], [UDP]))) == {"datagrams|9000": (15100, {STRANGER})}


def test_without_access_control_all_ports_are_open_to_all() -> None:
    assert opened(echo(permissive=True)) == {
        "datagrams|9000": (15100, None),
        "datagrams|9001": (15101, None),
    }


def test_ports_are_udp_unique_and_limited_in_number() -> None:
    assert udp_ports_of(pod("one", CLIENT, ports={"tcp": 1}, udp=(3, 2, 3))) == (3, 2)
    assert udp_ports_of(pod("many", CLIENT, udp=range(1, 100))) == tuple(range(1, UDP_PORTS + 1))
