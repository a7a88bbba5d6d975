"""Views of a compiled configuration for tests."""

from __future__ import annotations

from typing import Any

from compiler_snapshots import (
    group,
    rule,
    snapshot,
    workload,
)

from smi_reference_mesh.compiler import compile
from smi_reference_mesh.compiler.configuration import Configuration

JSON = dict[str, Any]

EVERYTHING = group("everything", {"name": "all", "pathRegex": ".*", "methods": ["*"]})
OPEN = rule("HTTPRouteGroup", "everything")
SPIFFE = "spiffe://cluster.local/ns/shop/sa/"


def compiled(
    *policies: JSON, who: str = "client", permissive: bool = False, **replaced: Any
) -> Configuration:
    return compile(snapshot(*policies, permissive=permissive, **replaced), workload(who))


def routes(configuration: Configuration, name: str) -> list[JSON]:
    (host,) = configuration.routes[name]["virtual_hosts"]
    found: list[JSON] = host["routes"]
    return found


def division(
    configuration: Configuration, service: str = "web", port: int = 8080
) -> dict[str, int] | str | None:
    """A service port's first destination: weights by service, one service, or None for nowhere."""
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
    """The access rules of requests on a port, by the name of their target."""
    (host,) = configuration.routes[f"inbound|{port}"]["virtual_hosts"]
    found = host["typed_per_filter_config"]["envoy.filters.http.rbac"]["rbac"]["rules"]
    assert found["action"] == "ALLOW"
    policies: JSON = found["policies"]
    return policies


def callers(configuration: Configuration, port: int = 8080) -> set[str]:
    principals = [each for policy in rules(configuration, port).values() for each in policy["principals"]]
    return {each["authenticated"]["principal_name"]["exact"].removeprefix(SPIFFE) for each in principals}


def raw_callers(configuration: Configuration, name: str) -> set[str]:
    """The identities that a filter chain's handshake accepts."""
    tls = chain(configuration, "inbound", name)["transport_socket"]["typed_config"]["common_tls_context"]
    names = tls["combined_validation_context"]["default_validation_context"]["match_typed_subject_alt_names"]
    return {next(iter(each["matcher"].values())).removeprefix(SPIFFE) for each in names}


def endpoints(configuration: Configuration, cluster: str) -> list[JSON]:
    (found,) = (each for each in configuration.clusters if each["name"] == cluster)
    (locality,) = found["load_assignment"]["endpoints"]
    listed: list[JSON] = locality["lb_endpoints"]
    return listed


def addresses(configuration: Configuration, cluster: str) -> list[tuple[str, int]]:
    listed = endpoints(configuration, cluster)
    found = [each["endpoint"]["address"]["socket_address"] for each in listed]
    return [(each["address"], each["port_value"]) for each in found]
