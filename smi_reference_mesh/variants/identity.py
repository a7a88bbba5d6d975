"""Variants of caller identity: by address without certificates, or decided in the TLS handshake."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from smi_reference_mesh.compiler import envoy
from smi_reference_mesh.compiler.configuration import JSON, Configuration
from smi_reference_mesh.compiler.mesh import addresses_of, identity_of
from smi_reference_mesh.hooks import EditedConfiguration
from smi_reference_mesh.kube.objects import Workload
from smi_reference_mesh.kube.snapshot import ClusterSnapshot
from smi_reference_mesh.membership import is_ingress, is_meshed
from smi_reference_mesh.variants.building_blocks import EditedParts, Together
from smi_reference_mesh.variants.variant import ACCESS, ROUTES, Variant

_TLS = ("transport_protocol", "application_protocols")
_INSPECTOR = "envoy.filters.listener.tls_inspector"
_NOBODY: JSON = {"not_id": {"any": True}}


@lru_cache(maxsize=4)
def _addresses(snapshot: ClusterSnapshot) -> Mapping[str, tuple[str, ...]]:
    """The addresses of the pods of each identity."""
    found: dict[str, list[str]] = {}
    for pod in snapshot.of("pods"):
        if is_meshed(pod) or is_ingress(pod):
            found.setdefault(identity_of(pod), []).extend(addresses_of(pod))
    return {identity: tuple(sorted(ips)) for identity, ips in found.items()}


def _accepted(socket: JSON) -> Iterable[JSON]:
    """The identities that a server's TLS accepts."""
    context = socket["typed_config"]["common_tls_context"]["combined_validation_context"]
    return (
        each["matcher"] for each in context["default_validation_context"]["match_typed_subject_alt_names"]
    )


def _sources(socket: JSON, known: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The addresses of the pods whose identities a server's TLS accepts."""
    names = list(_accepted(socket))
    exact = {name["exact"] for name in names if "exact" in name}
    prefixes = tuple(name["prefix"] for name in names if "prefix" in name)
    wanted = (ips for identity, ips in known.items() if identity in exact or identity.startswith(prefixes))
    return sorted({ip for ips in wanted for ip in ips})


def _plain_chains(chains: list[JSON], known: Mapping[str, tuple[str, ...]]) -> Iterator[JSON]:
    names = {chain["name"] for chain in chains}
    for chain in chains:
        match = {key: value for key, value in chain["filter_chain_match"].items() if key not in _TLS}
        if "transport_socket" in chain:
            sources = _sources(chain["transport_socket"], known)
            limits = [each["address_prefix"] for each in match.get("source_prefix_ranges", ())]
            sources = [ip for ip in sources if not limits or ip in limits]
            # Ports open to all have a chain of their own; ports open to nobody have none.
            if f"{chain['name']}|plaintext" not in names and sources:
                match["source_prefix_ranges"] = [envoy.exactly(ip) for ip in sources]
                rest = {key: value for key, value in chain.items() if key != "transport_socket"}
                yield {**rest, "filter_chain_match": match}
        elif not chain["name"].endswith("|other-tls"):
            yield {**chain, "filter_chain_match": match}


def _principals(value: Any, known: Mapping[str, tuple[str, ...]]) -> Any:
    """The same with the addresses of an identity's pods in place of its certificate's name."""
    if isinstance(value, dict):
        if "authenticated" in value:
            ips = known.get(value["authenticated"]["principal_name"]["exact"], ())
            own = [{"direct_remote_ip": envoy.exactly(ip)} for ip in ips]
            return {"or_ids": {"ids": own}} if own else _NOBODY
        return {key: _principals(inner, known) for key, inner in value.items()}
    return [_principals(inner, known) for inner in value] if isinstance(value, list) else value


def _by_address(configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload) -> Configuration:
    known = _addresses(snapshot)
    listeners = list(configuration.listeners)
    for number, listener in enumerate(listeners):
        if listener["name"] == "inbound":
            # TLS detection would delay servers that speak first.
            kept = {
                key: value
                for key, value in listener.items()
                if key not in {"listener_filters_timeout", "continue_on_listener_filters_timeout"}
            }
            filters = [each for each in listener["listener_filters"] if each["name"] != _INSPECTOR]
            chains = list(_plain_chains(listener["filter_chains"], known))
            listeners[number] = {**kept, "listener_filters": filters, "filter_chains": chains}
    routes = {
        name: _principals(one, known) if name.startswith("inbound|") else one
        for name, one in configuration.routes.items()
    }
    return replace(configuration, listeners=tuple(listeners), routes=routes)


def _plaintext(cluster: JSON) -> None:
    cluster.pop("transport_socket_matches", None)
    cluster.pop("transport_socket", None)


def by_address() -> Together:
    """Plaintext between pods, with the source address as identity."""
    return Together(EditedParts(cluster=_plaintext), EditedConfiguration(_by_address))


def _named(routes: JSON) -> Iterator[str]:
    """The identities that a route configuration grants any access."""
    rules = routes["virtual_hosts"][0]["typed_per_filter_config"][envoy.HTTP_RBAC]["rbac"]["rules"]
    for policy in rules["policies"].values():
        for principal in policy["principals"]:
            ids = principal.get("and_ids", {}).get("ids", [principal])
            yield from (
                one["authenticated"]["principal_name"]["exact"] for one in ids if "authenticated" in one
            )


def _in_the_handshake(
    configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
) -> Configuration:
    listeners = copy.deepcopy(configuration.listeners)
    for listener in listeners:
        chains = listener.get("filter_chains", ()) if listener["name"] == "inbound" else ()
        open_to_all = {chain["name"] for chain in chains if chain["name"].endswith("|plaintext")}
        for chain in chains:
            routes = configuration.routes.get(chain["name"])
            closed = f"{chain['name']}|plaintext" not in open_to_all
            if routes is not None and closed and "transport_socket" in chain:
                names = [{"exact": name} for name in sorted(set(_named(routes)))] or [envoy.NOBODY]
                context = chain["transport_socket"]["typed_config"]["common_tls_context"]
                accepted = context["combined_validation_context"]["default_validation_context"]
                accepted["match_typed_subject_alt_names"] = [
                    {"san_type": "URI", "matcher": name} for name in names
                ]
    return replace(configuration, listeners=listeners)


VARIANTS = (
    Variant(
        "identity-by-address",
        "No certificates: the source address is the caller's identity, and all traffic is plaintext.",
        ACCESS | ROUTES | {"traffic_split/test_unmeshed_client", "traffic_specs/test_ports"},
        by_address,
        real_meshes=("Traefik Mesh",),
    ),
    Variant(
        "identity-in-the-handshake",
        "A caller without any grant at a port is refused in the TLS handshake, before its first request.",
        ACCESS | {"common/test_partial_authorisation"},
        lambda: EditedConfiguration(_in_the_handshake),
    ),
)
