"""Compiled configurations on real Envoys: requests pass two sidecars and mutual TLS."""

from __future__ import annotations

import dataclasses
import socket
import ssl
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection, RemoteDisconnected
from pathlib import Path
from typing import Any

import pytest
from compiler_loopback import Loopback, http_application, tcp_application
from compiler_snapshots import (
    binding,
    endpoint_slice,
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
    tcp,
    tcp_route,
    workload,
)
from loopback_ports import free_port
from tenacity import retry, stop_after_delay, wait_fixed

from smi_reference_mesh.compiler.access_log import Record, parse_line

WEB, V1, V2, DB, PLAIN = "10.1.0.1", "10.1.0.11", "10.1.0.12", "10.1.0.21", "10.1.0.31"
EVERYTHING = group("everything", {"name": "all", "pathRegex": ".*", "methods": ["*"]})
OPEN = rule("HTTPRouteGroup", "everything")


@dataclasses.dataclass(frozen=True)
class Shop:
    """The sidecars of a client, a stranger, v1, v2 and db, and the requests that reached v1 and v2."""

    mesh: Loopback
    v1_port: int
    db_port: int
    objects: dict[str, list[Any]]
    v1_saw: list[str]
    db_saw: list[str]

    def apply(self, *policies: dict[str, Any], permissive: bool = False, **replaced: list[Any]) -> None:
        objects = {**self.objects, "namespaces": [namespace(permissive=permissive)], **replaced}
        self.mesh.apply(snapshot(*policies, **objects))

    def statuses(self, *paths: str, who: str = "client", address: str = V1, **more: Any) -> list[int]:
        return [self.mesh[who].get(address, path, **more)[0] for path in paths]

    def answers(self, count: int, address: str = WEB, **headers: str) -> Counter[str]:
        client = self.mesh["client"]
        return Counter(client.get(address, **headers)[1] or "nobody" for _ in range(count))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    v1_port, v2_port, db_port, plain_port = (free_port() for _ in range(4))
    web = {"web": "yes"}
    pods = [
        pod("client", "127.0.1.1"),
        pod("stranger", "127.0.1.2"),
        pod("v1", "127.0.1.11", labels={"app": "v1", **web}, ports={"http": v1_port}),
        pod("v2", "127.0.1.12", labels={"app": "v2", **web}, ports={"http": v2_port}),
        pod("db", "127.0.1.21", ports={"tcp": db_port}),
        pod("plain", "127.0.0.1", ports={"http": plain_port}, meshed=False),
    ]
    services = [
        service("web", WEB, http(8080, target="http"), selector=web),
        service("v1", V1, http(8080, target="http")),
        service("v2", V2, http(8080, target="http")),
        service("db", DB, tcp(9000, target="tcp")),
        service("plain", PLAIN, http(8080, target="http")),
    ]
    objects = {"pods": pods, "services": services, "endpointslices": slices(services, pods)}
    with ExitStack() as stack:
        v1_saw = stack.enter_context(http_application("v1", v1_port))
        stack.enter_context(http_application("v2", v2_port))
        db_saw = stack.enter_context(tcp_application("db", db_port))
        stack.enter_context(http_application("plain", plain_port))
        mesh = Loopback(tmp_path_factory.mktemp("mesh"))
        stack.callback(mesh.close)
        for name, ip, *ports in (
            ("client", "127.0.1.1"),
            ("stranger", "127.0.1.2"),
            ("v1", "127.0.1.11", v1_port),
            ("v2", "127.0.1.12", v2_port),
            ("db", "127.0.1.21", db_port),
        ):
            mesh.add(workload(str(name)), str(ip), *(int(each) for each in ports))
        yield Shop(mesh, v1_port, db_port, objects, v1_saw, db_saw)


def granted(*matches: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A target that lets the client call v1 on some routes."""
    return group("routes", *matches), target("v1", ["client"], [rule("HTTPRouteGroup", "routes")])


def test_all_is_denied_and_reaches_no_application_until_a_target_allows_it(shop: Shop) -> None:
    shop.apply()
    assert shop.statuses("/denied") == [403]
    assert "GET /denied" not in shop.v1_saw

    shop.apply(EVERYTHING, target("v1", ["client"], [OPEN]))
    assert shop.statuses("/granted") == [200]
    assert "GET /granted" in shop.v1_saw
    assert shop.statuses("/", who="stranger") == [403]
    assert shop.statuses("/", address=V2) == [403]


def test_a_withdrawn_grant_ends_on_open_connections(shop: Shop) -> None:
    shop.apply(EVERYTHING, target("v1", ["client"], [OPEN]))
    connection = HTTPConnection("service")
    connection.sock = shop.mesh["client"].connect(V1, 8080)
    statuses = []
    for policies in ([], [EVERYTHING, target("v1", ["client"], [OPEN])]):
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
        shop.apply(*policies)
    connection.request("GET", "/")
    statuses.append(connection.getresponse().status)
    connection.close()
    assert statuses == [200, 403, 200]


def test_a_path_expression_covers_the_whole_path_and_not_the_query(shop: Shop) -> None:
    shop.apply(*granted({"name": "m", "pathRegex": "/v[12]/items/[0-9]+", "methods": ["GET"]}))
    assert shop.statuses("/v1/items/7", "/v2/items/42", "/v1/items/7?x=/y") == [200] * 3
    assert shop.statuses("/v3/items/7", "/v1/items/x", "/x/v1/items/7", "/v1/items/7/8") == [403] * 4


def test_access_control_judges_the_path_that_the_application_receives(shop: Shop) -> None:
    shop.apply(*granted({"name": "m", "pathRegex": "/public.*", "methods": ["*"]}))
    assert shop.statuses("/public/./x", "//public/y", "/private/../public/z") == [200] * 3
    assert {"GET /public/x", "GET /public/y", "GET /public/z"} <= set(shop.v1_saw)
    assert shop.statuses("/public/../admin", "/public/%2e%2e/admin", "/%61dmin") == [403] * 3


def test_methods_are_exact_and_a_star_is_every_method(shop: Shop) -> None:
    shop.apply(*granted({"name": "m", "pathRegex": "/.*", "methods": ["GET", "POST"]}))
    by_method = {name: shop.statuses("/", method=name) for name in ("GET", "POST", "HEAD", "PUT", "PATCH")}
    assert by_method == {"GET": [200], "POST": [200], "HEAD": [403], "PUT": [403], "PATCH": [403]}

    shop.apply(*granted({"name": "m", "pathRegex": "/.*", "methods": ["*"]}))
    methods = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
    assert [shop.statuses("/", method=name)[0] for name in methods] == [200] * len(methods)


def test_headers_of_a_match_must_all_hold_whatever_the_case_of_their_names(shop: Shop) -> None:
    headers = {"X-Team": "blue|green", "x-user": "^(alice|bob)$"}
    shop.apply(*granted({"name": "m", "headers": headers}))
    assert shop.statuses("/any", x_TEAM="blue", X_USER="alice") == [200]
    assert shop.statuses("/any", method="POST", x_team="green", x_user="bob") == [200]
    assert shop.statuses("/any", x_team="blue") == [403]
    assert shop.statuses("/any", x_team="blue", x_user="alice2") == [403]
    assert shop.statuses("/any", x_team="red", x_user="alice") == [403]


def test_an_invalid_expression_opens_nothing_and_affects_nothing_else(shop: Shop) -> None:
    broken = [
        {"name": "a", "pathRegex": "("},
        {"name": "b", "pathRegex": "(?!x).*"},
        {"name": "c", "pathRegex": ""},
    ]
    shop.apply(*granted(*broken, {"name": "m", "pathRegex": "/good", "methods": ["GET"]}))
    assert shop.statuses("/good", "/bad", "/(") == [200, 403, 403]


def test_raw_tcp_needs_a_tcp_route_for_its_port(shop: Shop) -> None:
    def greeting(who: str = "client") -> bytes:
        with shop.mesh[who].connect(DB, 9000) as connection:
            return received(connection, 3)

    shop.apply(EVERYTHING, target("db", ["client"], [OPEN]))
    assert greeting() == b""
    shop.apply(tcp_route("other", 1), target("db", ["client"], [rule("TCPRoute", "other")]))
    assert greeting() == b""
    assert shop.db_saw == []
    shop.apply(tcp_route("db", shop.db_port), target("db", ["client"], [rule("TCPRoute", "db")]))
    assert (greeting(), greeting("stranger")) == (b"db\n", b"")
    shop.apply(tcp_route("all"), target("db", ["client"], [rule("TCPRoute", "all")]))
    assert greeting() == b"db\n"


def received(connection: socket.socket, size: int) -> bytes:
    """A server's greeting; empty if it disconnects."""
    try:
        return connection.recv(size)
    except ConnectionResetError:
        return b""


def test_plaintext_is_refused_unless_the_namespace_is_permissive(shop: Shop) -> None:
    def plaintext() -> int:
        client = HTTPConnection("127.0.1.11", shop.v1_port, timeout=10)
        try:
            client.request("GET", "/plaintext")
            return client.getresponse().status
        except (ConnectionError, RemoteDisconnected):
            return 0
        finally:
            client.close()

    shop.apply(EVERYTHING, target("v1", ["client"], [OPEN]))
    assert plaintext() == 0
    shop.apply(permissive=True)
    assert plaintext() == 200
    assert shop.statuses("/", who="stranger") == [200]
    shop.apply()
    assert plaintext() == 0


def test_a_client_without_an_identity_of_the_mesh_is_refused(shop: Shop) -> None:
    shop.apply(EVERYTHING, target("v1", ["client"], [OPEN]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["smi-mesh"])

    def ask() -> None:
        plain = socket.create_connection(("127.0.1.11", shop.v1_port), timeout=10)
        with plain, context.wrap_socket(plain) as secure:
            secure.sendall(b"GET /anonymous HTTP/1.1\r\nhost: v1\r\n\r\n")
            secure.recv(100)

    with pytest.raises((ssl.SSLError, ConnectionError)):
        ask()
    assert "GET /anonymous" not in shop.v1_saw


def test_a_server_without_an_identity_of_the_service_gets_no_requests(shop: Shop) -> None:
    services, pods = shop.objects["services"], shop.objects["pods"]
    v2, v1_pod = services[2], pods[2]
    astray = [each for each in shop.objects["endpointslices"] if each["metadata"]["name"] != "v2-v2"]
    astray.append(endpoint_slice(v2, v1_pod))
    shop.apply(EVERYTHING, target("v1", ["client"], [OPEN]), endpointslices=astray)
    assert shop.statuses("/", address=V1) == [200]
    assert shop.statuses("/astray", address=V2) == [503]
    assert "GET /astray" not in shop.v1_saw


def test_a_call_by_pod_address_has_the_callers_identity(shop: Shop) -> None:
    # On a port that a service also has: Envoy matches chains by port before addresses.
    also = service("also", "10.1.0.41", http(shop.v1_port, target="http"), selector={"app": "v1"})
    services = [*shop.objects["services"], also]
    endpoints = slices(services, shop.objects["pods"])
    shop.apply(EVERYTHING, target("v1", ["client"], [OPEN]), services=services, endpointslices=endpoints)
    by_address = {"address": "127.0.1.11", "port": shop.v1_port}
    assert shop.statuses("/by-address", **by_address) == [200]
    assert shop.statuses("/stranger", who="stranger", **by_address) == [403]
    assert "GET /stranger" not in shop.v1_saw


def test_pods_outside_the_mesh_are_called_in_plaintext(shop: Shop) -> None:
    shop.apply()
    assert shop.answers(3, PLAIN) == {"plain": 3}


def test_weights_divide_requests_and_a_weight_of_zero_gets_none(shop: Shop) -> None:
    shop.apply(permissive=True)
    assert set(shop.answers(20)) == {"v1", "v2"}
    shop.apply(split("web", {"v1": 300, "v2": 100}), permissive=True)
    # 300 draws with p = 3/4: standard deviation 7.5; six of them to either side.
    assert 180 <= shop.answers(300)["v1"] <= 270
    shop.apply(split("web", {"v1": 0, "v2": 5}), permissive=True)
    assert shop.answers(50) == {"v2": 50}
    assert shop.answers(5, V1) == {"v1": 5}
    shop.apply(permissive=True)
    assert set(shop.answers(20)) == {"v1", "v2"}


def test_a_split_with_conditions_leaves_all_other_requests_to_the_root(shop: Shop) -> None:
    firefox = group("firefox", {"name": "ff", "headers": {"User-Agent": ".*Firefox.*"}})
    only_v1 = [*shop.objects["services"]]
    only_v1[0] = service("web", WEB, http(8080, target="http"), selector={"app": "v1"})
    endpoints = slices(only_v1, shop.objects["pods"])
    ab = split("web", {"v1": 0, "v2": 100}, matches=["firefox"])
    shop.apply(firefox, ab, services=only_v1, endpointslices=endpoints, permissive=True)
    assert shop.answers(10, user_agent="Mozilla Firefox 1") == {"v2": 10}
    assert shop.answers(10, user_agent="Chrome") == {"v1": 10}
    assert shop.answers(10) == {"v1": 10}


def test_shares_without_a_destination_fail_and_others_are_served(shop: Shop) -> None:
    shop.apply(split("web", {"v1": 0, "v2": 0}), permissive=True)
    assert shop.statuses("/", address=WEB) == [503]
    shop.apply(split("web", {"v1": 1, "nowhere": 1}), permissive=True)
    answers = shop.answers(60)
    assert set(answers) == {"v1", "nobody"}


def test_requests_arrive_without_headers_of_the_mesh(shop: Shop) -> None:
    shop.apply(permissive=True)
    status, _, seen = shop.mesh["client"].get(V1, x_mine="kept")
    assert status == 200
    of_request = {"host", "accept-encoding", "x-mine", "x-forwarded-proto"}
    of_answer = {"server", "seen", "content-length", "date"}
    assert {key.lower() for key in seen} <= of_request | of_answer


def test_bindings_by_label_cover_only_the_labelled_pods(shop: Shop) -> None:
    def labelled(**labels: str) -> list[Any]:
        # On loopback every caller has the address 127.0.0.1, so the selected pod needs that address.
        selected = pod("selected", "127.0.0.1", account="client", labels=labels)
        return [*shop.objects["pods"], selected]

    blue = binding("blue", podLabelSelectors=[{"name": "x", "matchLabels": {"team": "blue"}}])
    source = {"kind": "IdentityBinding", "group": "access.smi-spec.io", "name": "blue"}
    policies = (EVERYTHING, blue, target("v1", [source], [OPEN]))
    shop.apply(*policies, pods=labelled(team="blue"))
    assert (shop.statuses("/"), shop.statuses("/", who="stranger")) == ([200], [403])
    shop.apply(*policies, pods=labelled(team="red"))
    assert shop.statuses("/") == [403]


def test_both_sidecars_log_a_request_with_the_address_of_the_other(shop: Shop) -> None:
    shop.apply(EVERYTHING, split("v1", {"v1": 1}), target("v1", ["client"], [OPEN]))
    assert shop.statuses("/418", x_forwarded_for="1.2.3.4") == [418]
    out, inside = (record_of(418, shop.mesh[name].log) for name in ("client", "v1"))
    assert (out.direction, out.peer_ip, out.route) == ("out", "127.0.1.11", "split/shop/split")
    assert out.cluster == "outbound|shop|v1|8080"
    assert (inside.direction, inside.peer_ip) == ("in", "127.0.0.1")
    assert inside.cluster == f"inbound|{shop.v1_port}"


@retry(stop=stop_after_delay(5), wait=wait_fixed(0.05), reraise=True)
def record_of(status: int, log: Path) -> Record:
    records = map(parse_line, log.read_bytes().splitlines(keepends=True))
    (record,) = (found for found in records if found and found.status == status)
    return record


def test_an_invalid_object_changes_nothing(shop: Shop) -> None:
    shop.apply(
        EVERYTHING, target("v1", ["client"], [OPEN]), {**split("v1", {"v2": 1}), "spec": {"backends": 7}}
    )
    assert shop.answers(5, V1) == {"v1": 5}
