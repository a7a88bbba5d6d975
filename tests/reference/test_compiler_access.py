"""TrafficTargets as access rules."""

from __future__ import annotations

from typing import Any

import pytest
from compiler_snapshots import (
    account,
    binding,
    group,
    namespace,
    pod,
    rule,
    snapshot,
    target,
    tcp_route,
    workload,
)
from compiler_views import (
    EVERYTHING,
    OPEN,
    SPIFFE,
    callers,
    chain_names,
    compiled,
    raw_callers,
    rules,
)

from smi_reference_mesh.compiler import compile
from smi_reference_mesh.compiler.configuration import Configuration

JSON = dict[str, Any]


def test_all_is_denied_by_default() -> None:
    assert rules(compiled(who="v1")) == {}
    assert raw_callers(compiled(who="db"), "inbound|9000") == {"spiffe://nobody"}


def test_a_target_opens_its_destination_to_its_sources() -> None:
    policies = EVERYTHING, target("v1", ["client"], [OPEN])
    assert callers(compiled(*policies, who="v1")) == {"client"}
    assert callers(compiled(*policies, who="v2"), 8081) == set()
    assert callers(compiled(*policies, who="client")) == set()


def test_targets_add_up() -> None:
    first = target("v1", ["client"], [OPEN], name="first")
    second = target("v1", ["stranger"], [OPEN], name="second")
    assert callers(compiled(EVERYTHING, first, second, who="v1")) == {"client", "stranger"}


def test_an_account_of_the_same_name_in_another_namespace_differs() -> None:
    elsewhere = target("v1", [account("client", "other")], [OPEN])
    assert callers(compiled(EVERYTHING, elsewhere, who="v1")) == {"spiffe://cluster.local/ns/other/sa/client"}


def test_a_rule_opens_the_matches_that_it_names() -> None:
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
def test_empty_or_unresolved_references_open_nothing(sources: list[Any], given: list[JSON]) -> None:
    grant = target("v1", sources, given)
    existing = EVERYTHING, group("empty"), tcp_route("any"), binding("client", serviceAccount="client")
    assert rules(compiled(*existing, grant, who="v1")) == {}


def test_a_destination_of_another_namespace_is_a_problem_and_opens_nothing() -> None:
    astray = target(account("v1", "other"), ["client"], [OPEN])
    configuration = compiled(EVERYTHING, astray, who="v1")
    assert rules(configuration) == {}
    assert [each.name for each in configuration.problems] == ["target"]


def test_a_tcp_route_limits_the_http_routes_next_to_it() -> None:
    ports = {"http": 8080, "more": 9090}
    pods = [pod("v1", "10.0.0.11", ports=ports)]
    both = target("v1", ["client"], [rule("TCPRoute", "one"), OPEN])
    configuration = compiled(EVERYTHING, tcp_route("one", 8080), both, who="v1", pods=pods)
    assert callers(configuration, 8080) == {"client"}
    assert callers(configuration, 9090) == set()
    assert raw_callers(configuration, "inbound|passthrough") == {"spiffe://nobody"}


def test_a_tcp_route_alone_opens_its_ports_to_http_as_well() -> None:
    alone = target("v1", ["client"], [rule("TCPRoute", "one")])
    (policy,) = rules(compiled(tcp_route("one", 8080), alone, who="v1")).values()
    assert policy["permissions"] == [{"any": True}]


def test_raw_tcp_is_open_on_the_ports_of_tcp_routes() -> None:
    def on_db(*given: JSON) -> Configuration:
        names = [rule(each["kind"], each["metadata"]["name"]) for each in given]
        return compiled(*given, target("db", ["client"], names), who="db")

    assert raw_callers(on_db(tcp_route("one", 9000)), "inbound|9000") == {"client"}
    assert raw_callers(on_db(tcp_route("one", 1)), "inbound|9000") == {"spiffe://nobody"}
    assert raw_callers(on_db(tcp_route("one", 1), tcp_route("all")), "inbound|9000") == {"client"}
    assert raw_callers(on_db(EVERYTHING), "inbound|9000") == {"spiffe://nobody"}


def test_undeclared_ports_are_open_only_by_number_or_to_all() -> None:
    def on_db(*ports: int) -> Configuration:
        grant = target("db", ["client"], [rule("TCPRoute", "route")])
        return compiled(tcp_route("route", *ports), grant, who="db")

    assert raw_callers(on_db(5000), "inbound|5000") == {"client"}
    assert raw_callers(on_db(5000), "inbound|passthrough") == {"spiffe://nobody"}
    assert raw_callers(on_db(), "inbound|passthrough") == {"client"}


def test_a_port_of_the_destination_limits_all_rules() -> None:
    old = target("v1", ["client"], [OPEN])
    old["spec"]["destination"]["port"] = 8080
    assert callers(compiled(EVERYTHING, old, who="v1")) == {"client"}
    old["spec"]["destination"]["port"] = 1234
    assert callers(compiled(EVERYTHING, old, who="v1")) == set()


def test_access_depends_on_accounts_not_on_labels_or_services() -> None:
    pods = [pod("v1", "10.0.0.11", account="other")]
    assert callers(compiled(EVERYTHING, target("v1", ["client"], [OPEN]), who="v1", pods=pods)) == set()


def test_a_change_of_grants_changes_routes_only() -> None:
    before = compiled(EVERYTHING, who="v1").files()
    after = compiled(EVERYTHING, target("v1", ["client"], [OPEN]), who="v1").files()
    assert [path for path in after if before[path] != after[path]] == ["rds/inbound_8080.json"]


def test_a_permissive_namespace_is_open_and_takes_plaintext() -> None:
    permissive = compiled(who="v1", permissive=True)
    assert rules(permissive)["anyone"]["principals"] == [{"any": True}]
    assert "inbound|8080|plaintext" in chain_names(permissive, "inbound")
    assert not [name for name in chain_names(compiled(who="v1"), "inbound") if "plaintext" in name]


def test_a_pod_missing_from_the_snapshot_is_closed() -> None:
    unknown = compiled(EVERYTHING, target("v1", ["client"], [OPEN]), who="nobody")
    assert not [name for name in unknown.routes if name.startswith("inbound")]
    assert raw_callers(unknown, "inbound|passthrough") == {"spiffe://nobody"}


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

    def test_schemes_that_exclude_each_other_match_nobody(self) -> None:
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

    def test_labels_add_callers_to_those_of_any_address(self) -> None:
        labelled = binding("caller", podLabelSelectors=[{"matchLabels": {"app": "client"}}])
        grant = target("db", [self.SOURCE, "stranger"], [rule("TCPRoute", "all")])
        configuration = compiled(tcp_route("all"), labelled, grant, who="db")
        assert raw_callers(configuration, "inbound|9000") == {"stranger"}
        assert raw_callers(configuration, "inbound|9000|10.0.0.1") == {"client", "stranger"}

    def test_a_binding_excludes_pods_in_other_namespaces(self) -> None:
        pods = [
            pod("v1", "10.0.0.11"),
            pod("v1", "10.0.0.91", space="other", labels={"app": "v1"}),
            pod("client", "10.0.0.92", space="other", labels={"app": "client"}),
        ]
        shared = snapshot(
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
