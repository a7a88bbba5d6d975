"""What compiled configurations say, read from the configuration itself."""

from __future__ import annotations

import json
import time
from fractions import Fraction
from typing import Any

import pytest
from compiler_worlds import (
    account,
    binding,
    endpoint_slice,
    group,
    http,
    namespace,
    pod,
    rule,
    service,
    slices,
    split,
    target,
    tcp,
    tcp_route,
    workload,
    world,
)

from reference.compiler import Configuration, compile
from reference.compiler.splits import whole_weights
from reference.world import World

JSON = dict[str, Any]

EVERYTHING = group("everything", {"name": "all", "pathRegex": ".*", "methods": ["*"]})
OPEN = rule("HTTPRouteGroup", "everything")
SPIFFE = "spiffe://cluster.local/ns/shop/sa/"


def compiled(
    *policies: JSON, who: str = "client", permissive: bool = False, **replaced: Any
) -> Configuration:
    return compile(world(*policies, permissive=permissive, **replaced), workload(who))


def routes(configuration: Configuration, name: str) -> list[JSON]:
    (host,) = configuration.routes[name]["virtual_hosts"]
    found: list[JSON] = host["routes"]
    return found


def division(
    configuration: Configuration, service: str = "web", port: int = 8080
) -> dict[str, int] | str | None:
    """Where the first route of a service port leads: weights by service, one service, or None for nowhere."""
    first = routes(configuration, f"outbound|shop|{service}|{port}")[0]
    if "direct_response" in first:
        return None
    action = first["route"]
    if "cluster" in action:
        return str(action["cluster"]).split("|")[2]
    return {each["name"].split("|")[2]: each["weight"] for each in action["weighted_clusters"]["clusters"]}


def chain(configuration: Configuration, listener: str, name: str) -> JSON:
    (found,) = (each for each in configuration.listeners if each["name"] == listener)
    (one,) = (each for each in found["filter_chains"] if each["name"] == name)
    assert isinstance(one, dict)
    return one


def chain_names(configuration: Configuration, listener: str) -> list[str]:
    (found,) = (each for each in configuration.listeners if each["name"] == listener)
    return [each["name"] for each in found["filter_chains"]]


def tcp_division(configuration: Configuration, name: str = "db") -> dict[str, int] | str:
    proxy = chain(configuration, "outbound", f"outbound|shop|{name}|9000")["filters"][-1]["typed_config"]
    if "cluster" in proxy:
        return str(proxy["cluster"])
    return {each["name"].split("|")[2]: each["weight"] for each in proxy["weighted_clusters"]["clusters"]}


def rules(configuration: Configuration, port: int = 8080) -> JSON:
    """The access rules of requests on a port, by the name of the target that they come from."""
    (host,) = configuration.routes[f"inbound|{port}"]["virtual_hosts"]
    found = host["typed_per_filter_config"]["envoy.filters.http.rbac"]["rbac"]["rules"]
    assert found["action"] == "ALLOW"
    policies: JSON = found["policies"]
    return policies


def callers(configuration: Configuration, port: int = 8080) -> set[str]:
    principals = [each for policy in rules(configuration, port).values() for each in policy["principals"]]
    return {each["authenticated"]["principal_name"]["exact"].removeprefix(SPIFFE) for each in principals}


def raw_callers(configuration: Configuration, name: str) -> set[str]:
    """Who passes the handshake of a filter chain."""
    tls = chain(configuration, "inbound", name)["transport_socket"]["typed_config"]["common_tls_context"]
    names = tls["combined_validation_context"]["default_validation_context"]["match_typed_subject_alt_names"]
    return {next(iter(each["matcher"].values())).removeprefix(SPIFFE) for each in names}


class TestSplits:
    def test_a_root_without_a_split_leads_to_its_own_endpoints(self) -> None:
        assert division(compiled()) == "web"

    def test_weights_are_relative_and_exact(self) -> None:
        assert division(compiled(split("web", {"v1": 1000, "v2": 500}))) == {"v1": 2, "v2": 1}

    def test_a_weight_of_zero_stays_zero(self) -> None:
        assert division(compiled(split("web", {"v1": 0, "v2": 7}))) == {"v1": 0, "v2": 1}

    def test_weights_too_large_for_envoy_keep_their_ratio_and_stay_positive(self) -> None:
        scaled = whole_weights(
            {"a": Fraction(10**18), "b": Fraction(1), "c": Fraction(0), "d": Fraction(10**18)}
        )
        assert sum(scaled.values()) < 2**32
        assert scaled["a"] == scaled["d"] > 2**30
        assert (scaled["b"], scaled["c"]) == (1, 0)

    def test_all_weights_zero_leave_no_destination(self) -> None:
        assert division(compiled(split("web", {"v1": 0, "v2": 0}))) is None

    def test_the_share_of_a_missing_backend_is_kept(self) -> None:
        configuration = compiled(split("web", {"v1": 1, "later": 3}))
        assert division(configuration) == {"v1": 1, "later": 3}
        assert any("backend later does not exist" in each.message for each in configuration.problems)

    def test_a_backend_that_does_not_expose_the_port_is_left_out(self) -> None:
        services = [
            service("web", "10.1.0.1", http(8080), http(9090, "rest")),
            service("v1", "10.1.0.11", http(8080)),
            service("v2", "10.1.0.12", http(1024), http(9090, "rest")),
        ]
        configuration = compiled(split("web", {"v1": 1, "v2": 1}), services=services)
        assert division(configuration, port=8080) == {"v1": 1}
        assert division(configuration, port=9090) == {"v2": 1}
        messages = [each.message for each in configuration.problems]
        assert "backend v2 is left out on port 8080, which it does not expose" in messages

    def test_calls_to_a_backend_by_its_own_name_are_not_split(self) -> None:
        configuration = compiled(split("web", {"v1": 0, "v2": 1}))
        assert (division(configuration, "v1"), division(configuration, "v2")) == ("v1", "v2")

    def test_splits_are_not_hierarchical(self) -> None:
        nested = compiled(split("web", {"v1": 1, "v2": 1}), split("v1", {"v2": 1}, name="nested"))
        assert division(nested) == {"v1": 1, "v2": 1}

    @pytest.mark.parametrize("root", ["web", "web.shop", "web.shop.svc", "web.shop.svc.cluster.local"])
    def test_the_root_may_be_named_in_full(self, root: str) -> None:
        assert division(compiled(split(root, {"v2": 1}))) == {"v2": 1}

    def test_a_root_of_another_namespace_is_a_problem_and_nothing_else(self) -> None:
        configuration = compiled(split("web.elsewhere", {"v2": 1}))
        assert division(configuration) == "web"
        assert [each.kind for each in configuration.problems] == ["TrafficSplit"]

    def test_a_split_concerns_its_own_namespace_only(self) -> None:
        other = service("web", "10.2.0.1", space="other")
        here = world().of("services")
        configuration = compiled(
            split("web", {"v2": 1}), namespaces=[namespace(), namespace("other")], services=[*here, other]
        )
        elsewhere = routes(configuration, "outbound|other|web|8080")
        assert [each["name"] for each in elsewhere] == ["root"]

    def test_each_backend_maps_the_port_to_its_own_target(self) -> None:
        endpoints = compiled().endpoints
        assert addresses(endpoints["outbound|shop|v1|8080"]) == [("10.0.0.11", 8080)]
        assert addresses(endpoints["outbound|shop|v2|8080"]) == [("10.0.0.12", 8081)]

    def test_backends_may_be_headless(self) -> None:
        pods = [pod("v1", "10.0.0.11")]
        services = [service("web", "10.1.0.1"), service("v1", "None")]
        configuration = compiled(
            split("web", {"v1": 1}), pods=pods, services=services, endpointslices=slices(services, pods)
        )
        assert addresses(configuration.endpoints["outbound|shop|v1|8080"]) == [("10.0.0.11", 8080)]
        assert "outbound|shop|v1|8080" in {each["name"] for each in configuration.clusters}
        assert "outbound|shop|v1|8080" not in configuration.routes

    def test_conditions_select_requests_and_all_others_go_to_the_root(self) -> None:
        ff = group(
            "ff",
            {"name": "a", "headers": {"User-Agent": ".*Firefox.*", "X-B": "1"}},
            {"name": "b", "headers": {"c": "."}},
        )
        beta = group("beta", {"name": "m", "pathRegex": "/beta.*", "methods": ["GET", "POST"]})
        found = routes(
            compiled(ff, beta, split("web", {"v2": 1}, matches=["ff", "beta"])), "outbound|shop|web|8080"
        )
        assert [each["name"] for each in found] == ["split/shop/split"] * 3 + ["root"]
        assert [header["name"] for header in found[0]["match"]["headers"]] == ["user-agent", "x-b"]
        assert found[2]["match"]["safe_regex"]["regex"] == "/beta.*"
        assert found[2]["match"]["headers"][0]["string_match"]["safe_regex"]["regex"] == "GET|POST"
        assert found[3]["route"]["cluster"] == "outbound|shop|web|8080"

    @pytest.mark.parametrize("matches", [["gone"], ["gone", "empty"]])
    def test_conditions_that_cannot_be_resolved_select_nothing(self, matches: list[str]) -> None:
        configuration = compiled(group("empty"), split("web", {"v2": 1}, matches=matches))
        assert division(configuration) == "web"
        assert any("gone does not exist" in each.message for each in configuration.problems)

    def test_a_reference_of_another_kind_does_not_make_a_split_unconditional(self) -> None:
        odd = split("web", {"v2": 1})
        odd["spec"]["matches"] = [{"kind": "TCPRoute", "name": "x"}]
        assert division(compiled(odd)) == "web"

    def test_of_several_splits_conditions_come_first_and_the_oldest_wins(self) -> None:
        old, new = split("web", {"v1": 1}, name="z"), split("web", {"v2": 1}, name="a")
        new["metadata"]["creationTimestamp"] = "2024-02-01T00:00:00Z"
        some = split("web", {"v2": 1}, name="some", matches=["everything"])
        found = routes(compiled(new, old, some, EVERYTHING), "outbound|shop|web|8080")
        assert [each["name"] for each in found] == ["split/shop/some", "split/shop/z"]

    def test_connections_of_tcp_services_are_split(self) -> None:
        assert tcp_division(compiled()) == "outbound|shop|db|9000"
        assert tcp_division(compiled(split("db", {"db": 1, "db2": 3}))) == {"db": 1, "db2": 3}
        assert tcp_division(compiled(split("db", {"db": 0, "db2": 3}))) == "outbound|shop|db2|9000"
        assert tcp_division(compiled(split("db", {"db": 0, "db2": 0}))) == "blackhole"

    def test_conditions_do_not_apply_to_tcp(self) -> None:
        conditional = split("db", {"db2": 1}, matches=["everything"])
        assert tcp_division(compiled(EVERYTHING, conditional)) == "outbound|shop|db|9000"

    def test_editing_a_split_changes_routes_alone(self) -> None:
        before = compiled(split("web", {"v1": 1, "v2": 1})).files()
        after = compiled(split("web", {"v1": 1, "v2": 3})).files()
        assert [path for path in after if before[path] != after[path]] == ["rds/outbound_shop_web_8080.json"]


def addresses(assignment: JSON) -> list[tuple[str, int]]:
    (locality,) = assignment["endpoints"]
    found = [each["endpoint"]["address"]["socket_address"] for each in locality["lb_endpoints"]]
    return [(each["address"], each["port_value"]) for each in found]


class TestOutbound:
    def test_only_ready_endpoints_count(self) -> None:
        v1 = world().of("pods")[2]
        web = world().of("services")[0]
        made = endpoint_slice(dict(web), dict(v1), ready=False)
        assert addresses(compiled(endpointslices=[made]).endpoints["outbound|shop|web|8080"]) == []
        del made["endpoints"][0]["conditions"]
        assert addresses(compiled(endpointslices=[made]).endpoints["outbound|shop|web|8080"]) == [
            ("10.0.0.11", 8080)
        ]

    def test_only_meshed_endpoints_are_marked_for_mesh_tls(self) -> None:
        endpoints = compiled().endpoints

        def marked(name: str) -> bool:
            (locality,) = endpoints[name]["endpoints"]
            return all("metadata" in each for each in locality["lb_endpoints"])

        assert marked("outbound|shop|v1|8080")
        assert not marked("outbound|shop|plain|8080")

    def test_servers_have_to_hold_an_identity_of_the_service(self) -> None:
        def trusted(name: str) -> set[str]:
            (cluster,) = (each for each in compiled().clusters if each["name"] == name)
            (mesh,) = cluster["transport_socket_matches"]
            tls = mesh["transport_socket"]["typed_config"]["common_tls_context"]
            names = tls["combined_validation_context"]["default_validation_context"]
            return {each["matcher"]["exact"] for each in names["match_typed_subject_alt_names"]}

        assert trusted("outbound|shop|web|8080") == {f"{SPIFFE}v1", f"{SPIFFE}v2"}
        assert trusted("outbound|shop|plain|8080") == {"spiffe://nobody"}

    def test_a_service_without_selector_entitles_nobody_in_the_mesh(self) -> None:
        by_hand = service("v1", "10.1.0.11", selector={})
        endpoints = [endpoint_slice(by_hand, dict(world().of("pods")[2]))]
        configuration = compiled(services=[by_hand], endpointslices=endpoints)
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
    def test_what_is_spoken_on_a_port_is_told_by_app_protocol_then_by_name(
        self, name: str, app_protocol: str | None, spoken: str
    ) -> None:
        port = {"name": name, "port": 8080, "appProtocol": app_protocol}
        configuration = compiled(services=[service("v1", "10.1.0.11", port)])
        (handler,) = chain(configuration, "outbound", "outbound|shop|v1|8080")["filters"]
        assert ("http" if "rds" in handler["typed_config"] else "tcp") == spoken

    def test_udp_ports_are_left_alone(self) -> None:
        dns = {**tcp(53, "dns"), "protocol": "UDP"}
        configuration = compiled(services=[service("v1", "10.1.0.11", dns, tcp(54, "x"))])
        names = [name for name in chain_names(configuration, "outbound") if "v1" in name]
        assert names == ["outbound|shop|v1|54"]

    def test_services_of_other_namespaces_are_left_alone(self) -> None:
        services = [service("web", "10.9.0.1", space="other")]
        assert [name for name in chain_names(compiled(services=services), "outbound") if "web" in name] == []

    def test_two_services_with_one_address_do_not_void_the_listener(self) -> None:
        names = chain_names(
            compiled(services=[service("a", "10.1.0.1"), service("b", "10.1.0.1")]), "outbound"
        )
        assert "outbound|shop|a|8080" in names
        assert "outbound|shop|b|8080" not in names

    def test_meshed_pods_are_reached_by_their_own_address(self) -> None:
        ranges = chain(compiled(), "outbound", "pods")["filter_chain_match"]["prefix_ranges"]
        found = {each["address_prefix"] for each in ranges}
        assert "10.0.0.11" in found
        assert "10.0.0.31" not in found

    def test_the_outbound_half_is_the_same_for_all_workloads(self) -> None:
        shared = world(split("web", {"v1": 1}))
        one, two = (compile(shared, workload(who)) for who in ("client", "v1"))
        assert one.endpoints is two.endpoints
        assert one.listeners[1] is two.listeners[1]


class TestAccess:
    def test_all_is_denied_by_default(self) -> None:
        assert rules(compiled(who="v1")) == {}
        assert raw_callers(compiled(who="db"), "inbound|9000") == {"spiffe://nobody"}

    def test_a_target_opens_its_destination_to_its_sources(self) -> None:
        policies = EVERYTHING, target("v1", ["client"], [OPEN])
        assert callers(compiled(*policies, who="v1")) == {"client"}
        assert callers(compiled(*policies, who="v2"), 8081) == set()
        assert callers(compiled(*policies, who="client")) == set()

    def test_targets_add_up(self) -> None:
        first = target("v1", ["client"], [OPEN], name="first")
        second = target("v1", ["stranger"], [OPEN], name="second")
        assert callers(compiled(EVERYTHING, first, second, who="v1")) == {"client", "stranger"}

    def test_an_account_of_the_same_name_elsewhere_is_somebody_else(self) -> None:
        elsewhere = target("v1", [account("client", "other")], [OPEN])
        assert callers(compiled(EVERYTHING, elsewhere, who="v1")) == {
            "spiffe://cluster.local/ns/other/sa/client"
        }

    def test_a_rule_opens_the_matches_that_it_names(self) -> None:
        routes = group("routes", *({"name": name, "pathRegex": f"/{name}"} for name in ("a", "b", "c")))

        def paths(*names: str) -> list[str]:
            grant = target("v1", ["client"], [rule("HTTPRouteGroup", "routes", *names)])
            (policy,) = rules(compiled(routes, grant, who="v1")).values()
            both = (each["and_rules"]["rules"][0]["url_path"] for each in policy["permissions"])
            return [each["path"]["safe_regex"]["regex"] for each in both]

        assert paths() == ["/a", "/b", "/c"]
        assert paths("b") == ["/b"]
        assert paths("c", "unknown") == ["/c"]

    @pytest.mark.parametrize(
        ("sources", "given"),
        [
            ([], [OPEN]),
            (["client"], []),
            (["client"], [rule("HTTPRouteGroup", "gone")]),
            (["client"], [rule("HTTPRouteGroup", "empty")]),
            (["client"], [rule("HTTPRouteGroup", "everything", "unknown")]),
            (["client"], [rule("UDPRoute", "any")]),
            (["client"], [rule("TCPRoute", "gone")]),
            (["client"], [rule("TCPRoute", "gone"), OPEN]),
            (["client"], [rule("TCPRoute", "any"), rule("HTTPRouteGroup", "gone")]),
            (["client"], [rule("Sorcery", "any"), OPEN]),
            ([{"kind": "Group", "name": "client", "namespace": "shop"}], [OPEN]),
            ([{"kind": "IdentityBinding", "name": "gone"}], [OPEN]),
            ([{"kind": "IdentityBinding", "name": "client", "group": "foreign.io"}], [OPEN]),
        ],
    )
    def test_what_is_empty_or_unresolved_opens_nothing(self, sources: list[Any], given: list[JSON]) -> None:
        grant = target("v1", sources, given)
        existing = EVERYTHING, group("empty"), tcp_route("any"), binding("client", serviceAccount="client")
        assert rules(compiled(*existing, grant, who="v1")) == {}

    def test_a_destination_of_another_namespace_is_a_problem_and_opens_nothing(self) -> None:
        astray = target(account("v1", "other"), ["client"], [OPEN])
        configuration = compiled(EVERYTHING, astray, who="v1")
        assert rules(configuration) == {}
        assert [each.name for each in configuration.problems] == ["target"]

    def test_a_tcp_route_limits_the_http_routes_next_to_it(self) -> None:
        ports = {"http": 8080, "more": 9090}
        pods = [pod("v1", "10.0.0.11", ports=ports)]
        both = target("v1", ["client"], [rule("TCPRoute", "one"), OPEN])
        configuration = compiled(EVERYTHING, tcp_route("one", 8080), both, who="v1", pods=pods)
        assert callers(configuration, 8080) == {"client"}
        assert callers(configuration, 9090) == set()
        assert raw_callers(configuration, "inbound|passthrough") == {"spiffe://nobody"}

    def test_a_tcp_route_alone_opens_its_ports_to_http_as_well(self) -> None:
        alone = target("v1", ["client"], [rule("TCPRoute", "one")])
        (policy,) = rules(compiled(tcp_route("one", 8080), alone, who="v1")).values()
        assert policy["permissions"] == [{"any": True}]

    def test_raw_tcp_is_open_on_the_ports_of_tcp_routes(self) -> None:
        def on_db(*given: JSON) -> Configuration:
            names = [rule(each["kind"], each["metadata"]["name"]) for each in given]
            return compiled(*given, target("db", ["client"], names), who="db")

        assert raw_callers(on_db(tcp_route("one", 9000)), "inbound|9000") == {"client"}
        assert raw_callers(on_db(tcp_route("one", 1)), "inbound|9000") == {"spiffe://nobody"}
        assert raw_callers(on_db(tcp_route("one", 1), tcp_route("all")), "inbound|9000") == {"client"}
        assert raw_callers(on_db(EVERYTHING), "inbound|9000") == {"spiffe://nobody"}

    def test_undeclared_ports_are_open_only_by_number_or_to_all(self) -> None:
        def on_db(*ports: int) -> Configuration:
            grant = target("db", ["client"], [rule("TCPRoute", "route")])
            return compiled(tcp_route("route", *ports), grant, who="db")

        assert raw_callers(on_db(5000), "inbound|5000") == {"client"}
        assert raw_callers(on_db(5000), "inbound|passthrough") == {"spiffe://nobody"}
        assert raw_callers(on_db(), "inbound|passthrough") == {"client"}

    def test_a_port_of_the_destination_limits_all_rules(self) -> None:
        old = target("v1", ["client"], [OPEN])
        old["spec"]["destination"]["port"] = 8080
        assert callers(compiled(EVERYTHING, old, who="v1")) == {"client"}
        old["spec"]["destination"]["port"] = 1234
        assert callers(compiled(EVERYTHING, old, who="v1")) == set()

    def test_access_is_a_matter_of_accounts_not_of_labels_or_services(self) -> None:
        pods = [pod("v1", "10.0.0.11", account="other")]
        assert callers(compiled(EVERYTHING, target("v1", ["client"], [OPEN]), who="v1", pods=pods)) == set()

    def test_changing_who_may_request_what_changes_routes_alone(self) -> None:
        before = compiled(EVERYTHING, who="v1").files()
        after = compiled(EVERYTHING, target("v1", ["client"], [OPEN]), who="v1").files()
        assert [path for path in after if before[path] != after[path]] == ["rds/inbound_8080.json"]

    def test_a_permissive_namespace_is_open_and_takes_plaintext(self) -> None:
        permissive = compiled(who="v1", permissive=True)
        assert rules(permissive)["anyone"]["principals"] == [{"any": True}]
        assert "inbound|8080|plaintext" in chain_names(permissive, "inbound")
        assert not [name for name in chain_names(compiled(who="v1"), "inbound") if "plaintext" in name]

    def test_a_pod_that_the_world_does_not_know_is_closed(self) -> None:
        unknown = compiled(EVERYTHING, target("v1", ["client"], [OPEN]), who="nobody")
        assert not [name for name in unknown.routes if name.startswith("inbound")]
        assert raw_callers(unknown, "inbound|passthrough") == {"spiffe://nobody"}


class TestListening:
    def spoken(self, *services: JSON, ports: dict[str, int]) -> dict[str, str]:
        """Whether HTTP or TCP is expected on each port of a pod."""
        pods = [pod("v1", "10.0.0.11", ports=ports)]
        configuration = compiled(who="v1", pods=pods, services=services)
        (listener,) = (each for each in configuration.listeners if each["name"] == "inbound")
        by_number = {
            each["name"].removeprefix("inbound|"): each["filters"][-1]["typed_config"]
            for each in listener["filter_chains"]
            if each["name"].removeprefix("inbound|").isdecimal()
        }
        return {number: "http" if "rds" in each else "tcp" for number, each in by_number.items()}

    def test_container_ports_are_told_apart_by_name(self) -> None:
        assert self.spoken(ports={"tcp-x": 1, "web": 2}) == {"1": "tcp", "2": "http"}

    def test_the_word_of_a_service_counts_for_more(self) -> None:
        of_service = service("v1", "10.1.0.11", tcp(80, "a", "web"), http(81, "b", 9))
        assert self.spoken(of_service, ports={"web": 2, "tcp": 9}) == {"2": "tcp", "9": "http"}

    @pytest.mark.parametrize("order", [1, -1])
    def test_http_counts_for_more_than_tcp_where_services_disagree(self, order: int) -> None:
        both = [service("a", "10.1.0.1", tcp(80, target=2)), service("b", "10.1.0.2", http(80, target=2))]
        for each in both:
            each["spec"]["selector"] = {"app": "v1"}
        assert self.spoken(*both[::order], ports={"x": 2}) == {"2": "http"}

    def test_ports_that_only_a_service_names_are_known(self) -> None:
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


class TestBindings:
    SOURCE = {"kind": "IdentityBinding", "group": "access.smi-spec.io", "name": "caller"}  # noqa: RUF012

    def opened_to(self, **schemes: Any) -> set[str]:
        grant = target("v1", [self.SOURCE], [OPEN])
        return callers(compiled(EVERYTHING, binding("caller", **schemes), grant, who="v1"))

    def test_an_account_is_one_of_the_namespace_of_the_binding(self) -> None:
        assert self.opened_to(serviceAccount="client") == {"client"}

    def test_schemes_are_alternatives(self) -> None:
        identity = "cluster.local/ns/shop/sa/stranger"
        both = self.opened_to(serviceAccount="client", spiffeIdentities=[identity])
        assert both == {"client", "stranger"}

    def test_schemes_that_exclude_each_other_are_nobody(self) -> None:
        selectors = [{"matchLabels": {"app": "stranger"}}]
        assert self.opened_to(serviceAccount="client", podLabelSelectors=selectors) == set()

    def test_labels_cover_pods_at_their_address_whatever_their_account(self) -> None:
        labelled = binding("caller", podLabelSelectors=[{"matchLabels": {"app": "client"}}])
        grant = target("v1", [self.SOURCE], [OPEN])
        (policy,) = rules(compiled(EVERYTHING, labelled, grant, who="v1")).values()
        (principal,) = policy["principals"]
        identity, address = principal["and_ids"]["ids"]
        assert identity["authenticated"]["principal_name"]["exact"] == f"{SPIFFE}client"
        assert address["direct_remote_ip"] == {"address_prefix": "10.0.0.1", "prefix_len": 32}

    def test_labels_open_raw_tcp_to_connections_from_these_pods(self) -> None:
        labelled = binding("caller", podLabelSelectors=[{"matchLabels": {"app": "client"}}])
        grant = target("db", [self.SOURCE], [rule("TCPRoute", "all")])
        configuration = compiled(tcp_route("all"), labelled, grant, who="db")
        assert raw_callers(configuration, "inbound|9000") == {"spiffe://nobody"}
        assert raw_callers(configuration, "inbound|9000|10.0.0.1") == {"client"}

    def test_labels_add_to_who_may_come_from_anywhere(self) -> None:
        labelled = binding("caller", podLabelSelectors=[{"matchLabels": {"app": "client"}}])
        grant = target("db", [self.SOURCE, "stranger"], [rule("TCPRoute", "all")])
        configuration = compiled(tcp_route("all"), labelled, grant, who="db")
        assert raw_callers(configuration, "inbound|9000") == {"stranger"}
        assert raw_callers(configuration, "inbound|9000|10.0.0.1") == {"client", "stranger"}

    def test_a_binding_says_nothing_of_pods_in_other_namespaces(self) -> None:
        pods = [
            pod("v1", "10.0.0.11"),
            pod("v1", "10.0.0.91", space="other", labels={"app": "v1"}),
            pod("client", "10.0.0.92", space="other", labels={"app": "client"}),
        ]
        shared = world(
            EVERYTHING,
            binding("caller", podLabelSelectors=[{"matchLabels": {"app": "client"}}]),
            binding("server", podLabelSelectors=[{"matchLabels": {"app": "v1"}}]),
            target({"kind": "IdentityBinding", "name": "server"}, [self.SOURCE, "stranger"], [OPEN]),
            pods=pods,
            namespaces=[namespace(), namespace("other")],
        )
        assert callers(compile(shared, workload("v1"))) == {"stranger"}
        assert callers(compile(shared, workload("v1", "other"))) == set()

    def test_an_empty_selector_covers_nobody(self) -> None:
        assert self.opened_to(podLabelSelectors=[{"matchLabels": {}}]) == set()

    def test_a_binding_can_be_the_destination(self) -> None:
        server = binding("server", podLabelSelectors=[{"matchLabels": {"app": "v1"}}])
        grant = target({"kind": "IdentityBinding", "name": "server"}, ["client"], [OPEN])
        assert callers(compiled(EVERYTHING, server, grant, who="v1")) == {"client"}
        assert callers(compiled(EVERYTHING, server, grant, who="v2"), 8081) == set()


class TestFiles:
    def test_output_does_not_depend_on_the_order_of_objects(self) -> None:
        policies = [split("web", {"v1": 1, "v2": 2}), EVERYTHING, target("v1", ["client"], [OPEN])]
        given = world(*policies)
        turned = World({plural: tuple(reversed(each)) for plural, each in given.objects.items()})
        assert compile(given, workload("v1")).files() == compile(turned, workload("v1")).files()

    def test_each_file_is_a_discovery_response_with_a_version_of_its_content(self) -> None:
        first, second = compiled(split("web", {"v1": 1})).files(), compiled(split("web", {"v2": 1})).files()
        for path, text in first.items():
            response = json.loads(text)
            assert {each["@type"] for each in response["resources"]} == {response["type_url"]}
            same = json.loads(second[path])["version_info"] == response["version_info"]
            assert same is (second[path] == text)

    def test_files_come_before_those_that_refer_to_them(self) -> None:
        order = [path.split("/")[0] for path in compiled().files()]
        assert list(dict.fromkeys(order)) == ["eds", "cds.json", "rds", "lds.json"]

    def test_every_route_is_asked_for_by_a_listener(self) -> None:
        for who in ("client", "v1", "db"):
            configuration = compiled(who=who)
            chains = [each for listener in configuration.listeners for each in listener["filter_chains"]]
            asked = {
                handler["typed_config"]["rds"]["route_config_name"]
                for each in chains
                for handler in each["filters"]
                if "rds" in handler["typed_config"]
            }
            assert asked == set(configuration.routes)


def test_twenty_workloads_and_thirty_services_are_compiled_after_one_change(
    record_property: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = range(1, 31)
    pods = [pod(f"p{i}", f"10.0.1.{i}", labels={"app": f"s{i}"}) for i in numbers]
    services = [service(f"s{i}", f"10.1.1.{i}", http(8080), tcp(9000)) for i in numbers]
    targets = [target(f"p{i}", ["p1", "p2"], [OPEN], name=f"t{i}") for i in numbers]
    endpoints = slices(services, pods)

    def after(weight: int) -> float:
        changed = split("s1", {"s2": weight, "s3": 100 - weight})
        shared = world(EVERYTHING, changed, *targets, pods=pods, services=services, endpointslices=endpoints)
        started = time.perf_counter()
        files = [compile(shared, workload(f"p{i}")).files() for i in range(1, 21)]
        assert len(files) == 20
        return (time.perf_counter() - started) * 1000

    best = min(after(weight) for weight in range(1, 6))
    record_property("compile_20_workloads_ms", round(best, 1))
    with capsys.disabled():
        print(f" [20 workloads, 30 services with 2 ports each: {best:.0f} ms]", end="")
