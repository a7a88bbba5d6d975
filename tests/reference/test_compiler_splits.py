"""TrafficSplits as routes and as weighted clusters."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from compiler_snapshots import (
    group,
    http,
    namespace,
    pod,
    service,
    slices,
    snapshot,
    split,
)
from compiler_views import (
    EVERYTHING,
    addresses,
    compiled,
    division,
    routes,
    tcp_division,
)

from smi_reference_mesh.compiler.splits import whole_weights

JSON = dict[str, Any]


def test_a_root_without_a_split_leads_to_its_own_endpoints() -> None:
    assert division(compiled()) == "web"


def test_weights_are_relative_and_exact() -> None:
    assert division(compiled(split("web", {"v1": 1000, "v2": 500}))) == {"v1": 2, "v2": 1}


def test_a_weight_of_zero_stays_zero() -> None:
    assert division(compiled(split("web", {"v1": 0, "v2": 7}))) == {"v1": 0, "v2": 1}


def test_weights_too_large_for_envoy_keep_their_ratio_and_stay_positive() -> None:
    scaled = whole_weights({"a": Fraction(10**18), "b": Fraction(1), "c": Fraction(0), "d": Fraction(10**18)})
    assert sum(scaled.values()) < 2**32
    assert scaled["a"] == scaled["d"] > 2**30
    assert (scaled["b"], scaled["c"]) == (1, 0)


def test_all_weights_zero_leave_no_destination() -> None:
    assert division(compiled(split("web", {"v1": 0, "v2": 0}))) is None


def test_the_share_of_a_missing_backend_is_kept() -> None:
    configuration = compiled(split("web", {"v1": 1, "later": 3}))
    assert division(configuration) == {"v1": 1, "later": 3}
    assert any("backend later does not exist" in each.message for each in configuration.problems)


def test_a_backend_that_does_not_expose_the_port_is_left_out() -> None:
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


def test_calls_to_a_backend_by_its_own_name_are_not_split() -> None:
    configuration = compiled(split("web", {"v1": 0, "v2": 1}))
    assert (division(configuration, "v1"), division(configuration, "v2")) == ("v1", "v2")


def test_splits_are_not_hierarchical() -> None:
    nested = compiled(split("web", {"v1": 1, "v2": 1}), split("v1", {"v2": 1}, name="nested"))
    assert division(nested) == {"v1": 1, "v2": 1}


@pytest.mark.parametrize("root", ["web", "web.shop", "web.shop.svc", "web.shop.svc.cluster.local"])
def test_the_root_may_be_fully_qualified(root: str) -> None:
    assert division(compiled(split(root, {"v2": 1}))) == {"v2": 1}


def test_a_root_of_another_namespace_is_a_problem_and_nothing_else() -> None:
    configuration = compiled(split("web.elsewhere", {"v2": 1}))
    assert division(configuration) == "web"
    assert [each.kind for each in configuration.problems] == ["TrafficSplit"]


def test_a_split_concerns_its_own_namespace_only() -> None:
    other = service("web", "10.2.0.1", space="other")
    here = snapshot().of("services")
    configuration = compiled(
        split("web", {"v2": 1}), namespaces=[namespace(), namespace("other")], services=[*here, other]
    )
    elsewhere = routes(configuration, "outbound|other|web|8080")
    assert [each["name"] for each in elsewhere] == ["root"]


def test_each_backend_maps_the_port_to_its_own_target() -> None:
    configuration = compiled()
    assert addresses(configuration, "outbound|shop|v1|8080") == [("10.0.0.11", 8080)]
    assert addresses(configuration, "outbound|shop|v2|8080") == [("10.0.0.12", 8081)]


def test_backends_may_be_headless() -> None:
    pods = [pod("v1", "10.0.0.11")]
    services = [service("web", "10.1.0.1"), service("v1", "None")]
    configuration = compiled(
        split("web", {"v1": 1}), pods=pods, services=services, endpointslices=slices(services, pods)
    )
    assert addresses(configuration, "outbound|shop|v1|8080") == [("10.0.0.11", 8080)]
    assert "outbound|shop|v1|8080" in {each["name"] for each in configuration.clusters}
    assert "outbound|shop|v1|8080" not in configuration.routes


def test_conditions_select_requests_and_all_others_go_to_the_root() -> None:
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
def test_conditions_that_cannot_be_resolved_select_nothing(matches: list[str]) -> None:
    configuration = compiled(group("empty"), split("web", {"v2": 1}, matches=matches))
    assert division(configuration) == "web"
    assert any("gone does not exist" in each.message for each in configuration.problems)


def test_a_reference_of_another_kind_does_not_make_a_split_unconditional() -> None:
    odd = split("web", {"v2": 1})
    odd["spec"]["matches"] = [{"kind": "TCPRoute", "name": "x"}]
    assert division(compiled(odd)) == "web"


def test_of_several_splits_conditions_come_first_and_the_oldest_wins() -> None:
    old, new = split("web", {"v1": 1}, name="z"), split("web", {"v2": 1}, name="a")
    new["metadata"]["creationTimestamp"] = "2024-02-01T00:00:00Z"
    some = split("web", {"v2": 1}, name="some", matches=["everything"])
    found = routes(compiled(new, old, some, EVERYTHING), "outbound|shop|web|8080")
    assert [each["name"] for each in found] == ["split/shop/some", "split/shop/z"]


def test_connections_of_tcp_services_are_split() -> None:
    assert tcp_division(compiled()) == "outbound|shop|db|9000"
    assert tcp_division(compiled(split("db", {"db": 1, "db2": 3}))) == {"db": 1, "db2": 3}
    assert tcp_division(compiled(split("db", {"db": 0, "db2": 3}))) == "outbound|shop|db2|9000"
    assert tcp_division(compiled(split("db", {"db": 0, "db2": 0}))) == "blackhole"


def test_conditions_do_not_apply_to_tcp() -> None:
    conditional = split("db", {"db2": 1}, matches=["everything"])
    assert tcp_division(compiled(EVERYTHING, conditional)) == "outbound|shop|db|9000"


def test_editing_a_split_changes_routes_alone() -> None:
    before = compiled(split("web", {"v1": 1, "v2": 1})).files()
    after = compiled(split("web", {"v1": 1, "v2": 3})).files()
    assert [path for path in after if before[path] != after[path]] == ["rds/outbound_shop_web_8080.json"]
