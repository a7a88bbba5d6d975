"""Variants of joining, names and readiness of pods, of Events, and of traffic outside the mesh's control."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from smi_reference_mesh.compiler.configuration import Configuration
from smi_reference_mesh.compiler.datagrams import datagrams_of
from smi_reference_mesh.compiler.mesh import addresses_of, mesh_of
from smi_reference_mesh.faults.building_blocks import FaultySnapshot, service_of, with_slices
from smi_reference_mesh.hooks import DefaultHooks, EditedConfiguration
from smi_reference_mesh.kube.objects import Object, Workload, account_of, name_of, namespace_of
from smi_reference_mesh.kube.snapshot import ClusterSnapshot
from smi_reference_mesh.membership import is_permissive
from smi_reference_mesh.smi.model import Problem
from smi_reference_mesh.variants.variant import ACCESS, EDITS, ROLLOUT, SHARES, Variant

Account = tuple[str, str]


def _without_words(
    configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
) -> Configuration:
    return replace(configuration, problems=())


def _with_more_words(
    configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
) -> Configuration:
    """Adds a problem to each split and target: that it was read, with its number of backends."""
    told = [
        Problem(kind, namespace_of(one), name_of(one), f"read: {named}")
        for kind, plural in (("TrafficSplit", "trafficsplits"), ("TrafficTarget", "traffictargets"))
        for one in snapshot.of(plural)
        for named in [f"it names {len((one.get('spec') or {}).get('backends') or ())} backends"]
    ]
    return replace(configuration, problems=(*configuration.problems, *told))


def _datagrams_pass(
    configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
) -> Configuration:
    mesh = mesh_of(snapshot)
    pod = mesh.pods.get((workload.namespace, workload.name))
    passing = [] if pod is None else list(datagrams_of(mesh, pod, None))
    names = {each.listener["name"] for each in passing}
    return replace(
        configuration,
        listeners=(
            *(each for each in configuration.listeners if each["name"] not in names),
            *(each.listener for each in passing),
        ),
        clusters=(
            *(each for each in configuration.clusters if each["name"] not in names),
            *(each.cluster for each in passing),
        ),
    )


def datagrams_pass() -> EditedConfiguration:
    """All datagrams pass, from any source."""
    return EditedConfiguration(_datagrams_pass)


def _accounts(target: Object) -> Iterator[Account]:
    spec = target.get("spec") or {}
    for one in (spec.get("destination") or {}, *(spec.get("sources") or ())):
        yield str(one.get("namespace") or namespace_of(target)), str(one.get("name") or "")


def _one_account_behind(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    """Under access control a service includes only pods of one account among those that it selects."""
    accounts = {ip: account_of(pod) for pod in snapshot.of("pods") for ip in addresses_of(pod)}
    open_to_all = {name_of(one) for one in snapshot.of("namespaces") if is_permissive(one)}
    first: dict[tuple[str, str], str] = {}
    for one in snapshot.of("endpointslices"):
        for endpoint in one.get("endpoints") or ():
            for ip in endpoint["addresses"]:
                service, account = service_of(one), accounts.get(ip, "")
                first[service] = min(first.get(service, account), account)

    def limit(one: dict[str, Any]) -> None:
        if namespace_of(one) not in open_to_all:
            one["endpoints"] = [
                endpoint
                for endpoint in one.get("endpoints") or ()
                if {accounts.get(ip, "") for ip in endpoint["addresses"]} <= {first[service_of(one)]}
            ]

    return with_slices(snapshot, limit)


class ReadyOnceNamed(DefaultHooks):
    """Withholds a workload's configuration until a target names its account; never withdraws it."""

    def __init__(self) -> None:
        self._given: set[Workload] = set()

    def withholds(self, snapshot: ClusterSnapshot, workload: Workload) -> bool:
        if workload in self._given:
            return False
        pods = {Workload(namespace_of(pod), name_of(pod)): account_of(pod) for pod in snapshot.of("pods")}
        open_to_all = {name_of(one) for one in snapshot.of("namespaces") if is_permissive(one)}
        named = {account for target in snapshot.of("traffictargets") for account in _accounts(target)}
        mine = (workload.namespace, pods.get(workload, ""))
        if workload.namespace not in open_to_all and mine not in named:
            return True
        self._given.add(workload)
        return False


_ACCOUNTS = ("server", "other", "third", "alpha", "beta", "gamma")
_FIRST_GRANT = {
    "apiVersion": "access.smi-spec.io/v1alpha3",
    "kind": "TrafficTarget",
    "metadata": {"name": "first"},
    "spec": {
        "destination": {"kind": "ServiceAccount", "name": "nobody", "namespace": "$namespace"},
        "sources": [
            {"kind": "ServiceAccount", "name": name, "namespace": "$namespace"} for name in _ACCOUNTS
        ],
        "rules": [{"kind": "TCPRoute", "name": "first"}],
    },
}
"""A target with all accounts as sources, whose destination no pod runs as."""

_EVENTS = frozenset({"split-misconfiguration-event"})

VARIANTS = (
    Variant(
        "called-by-another-name",
        "Services have names other than Kubernetes' own, and no pod shows a sidecar to the suite.",
        EDITS | ACCESS | {"traffic_split/test_forms", "traffic_split/test_unmeshed_client"},
        profile={"hosts": {"service": "{service}.{namespace}.svc"}, "join": {"sidecar": False}},
        real_meshes=("Traefik Mesh",),
    ),
    Variant(
        "no-open-namespaces",
        "No namespace can be exempt from access control.",
        SHARES
        | EDITS
        | {"traffic_split/test_matches", "traffic_split/test_backends", "traffic_metrics/test_chain"},
        profile={"access": {"open": None}},
        real_meshes=("Open Service Mesh", "Traefik Mesh"),
    ),
    Variant(
        "one-account-behind-a-service",
        "No namespace can be exempt from access control, and a service includes only pods of one account.",
        EDITS
        | ROLLOUT
        | {"traffic_split/test_backends", "traffic_split/test_ports", "traffic_split/test_zero"},
        lambda: FaultySnapshot(_one_account_behind),
        profile={"access": {"open": None}},
        real_meshes=("Traefik Mesh",),
    ),
    Variant(
        "ready-once-granted",
        "A pod becomes ready only once a target names its account.",
        ACCESS,
        ReadyOnceNamed,
        profile={"join": {"objects": [_FIRST_GRANT]}},
    ),
    Variant(
        "no-ingress",
        "The mesh has no ingress.",
        EDITS | {"split-ingress-client"},
        profile={"ingress": None},
    ),
    Variant(
        "datagrams-left-alone",
        "UDP is outside the mesh: all datagrams pass.",
        frozenset(
            {"traffic_specs/test_ports", "traffic_access/test_default_deny", "traffic_split/test_forms"}
        ),
        datagrams_pass,
        profile={"access": {"udp": False}},
        real_meshes=("Open Service Mesh", "Traefik Mesh", "Linkerd"),
    ),
    Variant(
        "tells-nothing-at-objects",
        "Objects without effect get no Events.",
        _EVENTS | EDITS,
        lambda: EditedConfiguration(_without_words),
        profile={"disclaims": {"split-misconfiguration-event": "this mesh writes no events"}},
        real_meshes=("Open Service Mesh", "Traefik Mesh"),
    ),
    Variant(
        "tells-more-at-objects",
        "Every split and target gets Events, beyond those about problems.",
        _EVENTS | EDITS,
        lambda: EditedConfiguration(_with_more_words),
    ),
)
