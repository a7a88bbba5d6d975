"""The ingress on a real Envoy: from a plain client through mutual TLS to the sidecars."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from compiler_loopback import Loopback, http_application
from compiler_snapshots import (
    group,
    http,
    namespace,
    pod,
    rule,
    service,
    slices,
    snapshot,
    split,
    target,
    workload,
)
from ingress_snapshots import IDENTITY, INGRESS_POD, ingress, ingress_pod
from loopback_ports import free_port
from tenacity import retry, stop_after_delay, wait_fixed

from smi_reference_mesh.compiler.access_log import Record, parse_line

JSON = dict[str, Any]
EVERYTHING = group("everything", {"name": "all", "pathRegex": ".*", "methods": ["*"]})
REQUESTS = 200


@dataclass(frozen=True)
class Shop:
    """The sidecars of v1 and v2 behind `web`, and an ingress in front of them."""

    mesh: Loopback
    objects: dict[str, list[JSON]]

    def apply(self, *policies: JSON, permissive: bool = True) -> None:
        objects = {**self.objects, "namespaces": [namespace(permissive=permissive)]}
        self.mesh.apply(snapshot(*policies, **objects))

    def get(self, host: str = "shop.test", path: str = "/") -> tuple[int, str]:
        """A request from outside: its status and the responder."""
        connection = HTTPConnection("127.0.0.1", self.mesh[INGRESS_POD.name].outbound, timeout=10)
        try:
            connection.request("GET", path, headers={"Host": host})
            answer = connection.getresponse()
            return answer.status, answer.headers.get("server", "")
        finally:
            connection.close()

    def answers(self) -> Counter[str]:
        return Counter(self.get()[1] for _ in range(REQUESTS))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    ports = {"v1": free_port(), "v2": free_port()}
    addresses = {"v1": "127.0.1.111", "v2": "127.0.1.112"}
    pods = [
        pod(name, addresses[name], labels={"app": name, "web": "yes"}, ports={"http": port})
        for name, port in ports.items()
    ]
    services = [service("web", "10.1.0.1", http(8080, target="http"), selector={"web": "yes"})]
    services += [service(name, f"10.1.0.1{name[1]}", http(8080, target="http")) for name in ports]
    objects: dict[str, list[JSON]] = {
        "pods": [*pods, ingress_pod("127.0.1.191")],
        "services": services,
        "endpointslices": slices(services, pods),
        "ingresses": [ingress()],
    }
    with ExitStack() as stack:
        mesh = Loopback(tmp_path_factory.mktemp("mesh"))
        stack.callback(mesh.close)
        for name, port in ports.items():
            stack.enter_context(http_application(name, port))
            mesh.add(workload(name), addresses[name], port)
        mesh.add(INGRESS_POD, "127.0.1.191")
        yield Shop(mesh, objects)


def test_a_host_leads_to_all_pods_of_its_service_and_others_lead_nowhere(shop: Shop) -> None:
    shop.apply()
    assert set(shop.answers()) == {"v1", "v2"}
    assert shop.get("shop.test:8443")[0] == 200
    assert shop.get("other.test") == (404, "")


def test_the_split_of_a_service_divides_ingress_traffic(shop: Shop) -> None:
    shop.apply(split("web", {"v1": 9, "v2": 1}))
    shares = shop.answers()
    # Of a fair coin 200 flips give 140 heads or more once in a hundred million.
    assert shares["v1"] > 140
    assert shares["v2"] > 0
    shop.apply(split("web", {"v1": 0, "v2": 1}))
    assert shop.answers() == {"v2": REQUESTS}


def test_it_calls_under_an_identity_of_its_own_which_is_denied_until_a_target_names_it(shop: Shop) -> None:
    shop.apply(split("web", {"v1": 1}), permissive=False)
    assert shop.get()[0] == 403
    grant = target("v1", [IDENTITY], [rule("HTTPRouteGroup", "everything")])
    shop.apply(split("web", {"v1": 1}), EVERYTHING, grant, permissive=False)
    assert shop.get() == (200, "v1")


def test_ingress_requests_are_logged_like_a_clients(shop: Shop) -> None:
    shop.apply(split("web", {"v2": 1}))
    assert shop.get(path="/418")[0] == 418
    record = record_of(418, shop.mesh[INGRESS_POD.name].log)
    assert (record.direction, record.route) == ("out", "split/shop/split")
    assert record.cluster == "outbound|shop|v2|8080"


@retry(stop=stop_after_delay(5), wait=wait_fixed(0.05), reraise=True)
def record_of(status: int, log: Path) -> Record:
    records = map(parse_line, log.read_bytes().splitlines(keepends=True))
    (found,) = (each for each in records if each is not None and each.status == status)
    return found
