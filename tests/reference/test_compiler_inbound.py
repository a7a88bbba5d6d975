"""The ports of a workload and their protocols."""

from __future__ import annotations

from typing import Any

import pytest
from compiler_snapshots import (
    http,
    pod,
    rule,
    service,
    target,
    tcp,
    tcp_route,
)
from compiler_views import (
    chain_names,
    compiled,
)

JSON = dict[str, Any]


class TestListening:
    def spoken(self, *services: JSON, ports: dict[str, int]) -> dict[str, str]:
        """Whether each port of a pod is HTTP or TCP."""
        pods = [pod("v1", "10.0.0.11", ports=ports)]
        configuration = compiled(who="v1", pods=pods, services=services)
        (listener,) = (each for each in configuration.listeners if each["name"] == "inbound")
        by_number = {
            each["name"].removeprefix("inbound|"): each["filters"][-1]["typed_config"]
            for each in listener["filter_chains"]
            if each["name"].removeprefix("inbound|").isdecimal()
        }
        return {number: "http" if "rds" in each else "tcp" for number, each in by_number.items()}

    def test_the_protocol_of_container_ports_comes_from_their_names(self) -> None:
        assert self.spoken(ports={"tcp-x": 1, "web": 2}) == {"1": "tcp", "2": "http"}

    def test_a_services_protocol_takes_precedence(self) -> None:
        of_service = service("v1", "10.1.0.11", tcp(80, "a", "web"), http(81, "b", 9))
        assert self.spoken(of_service, ports={"web": 2, "tcp": 9}) == {"2": "tcp", "9": "http"}

    @pytest.mark.parametrize("order", [1, -1])
    def test_http_takes_precedence_where_services_differ(self, order: int) -> None:
        both = [service("a", "10.1.0.1", tcp(80, target=2)), service("b", "10.1.0.2", http(80, target=2))]
        for each in both:
            each["spec"]["selector"] = {"app": "v1"}
        assert self.spoken(*both[::order], ports={"x": 2}) == {"2": "http"}

    def test_ports_that_only_a_service_targets_are_included(self) -> None:
        assert self.spoken(service("v1", "10.1.0.11", http(80, target=7)), ports={}) == {"7": "http"}

    def test_the_ports_of_the_sidecar_stay_closed_whatever_is_declared_or_granted(self) -> None:
        pods = [pod("v1", "10.0.0.11", ports={"x": 15001, "y": 15000})]
        grant = target("v1", ["client"], [rule("TCPRoute", "ports")])
        names = chain_names(compiled(tcp_route("ports", 15006), grant, who="v1", pods=pods), "inbound")
        assert names == [
            "inbound|passthrough",
            "blackhole|15000",
            "blackhole|15001",
            "blackhole|15006",
        ]
