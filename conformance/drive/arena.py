"""The arena: the namespaces of a run with the sample workloads in them."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from conformance.clusters import Cluster, ClusterError, Object
from conformance.drive import probe_bundle
from conformance.drive.manifests import (
    RUN_LABEL,
    WORKLOAD_ANNOTATION,
    RunScope,
    fill_namespace,
    load,
)
from conformance.drive.podstates import containers, is_ready, is_stuck
from conformance.drive.readiness import NotReady, PodReadiness
from conformance.drive.rendering import WireFormat, render
from conformance.drive.tailoring import NotClaimed, tailor, unclaimed_kind_reason, with_metadata
from conformance.drive.wait import NotSeen, Waiter
from conformance.profiles import Membership, Profile

MEMBERSHIP_LABEL = "smi-conformance.dev/membership"
CONTAINER = "probe"
OUTSIDE = "outside"
"""The part of the arena outside the mesh."""
UDP = "udp"
"""The part with UDP servers, which exists only if the profile says that the mesh governs UDP."""
WORKLOADS = {name: f"smi-{name}" for name in ("main", "access", "peer", OUTSIDE, "metrics", UDP)}
"""Part of the arena → namespace in its fixtures; each part has a file in fixtures/workloads."""
_PODS = ("Pod", "Deployment")
READY_WITHIN_S = 180.0
GONE_WITHIN_S = 120.0


@dataclass(frozen=True, slots=True)
class WorkloadPod:
    """One sample workload's pod."""

    namespace: str
    name: str
    workload: str
    ip: str


@dataclass(slots=True)
class Arena:
    """Creates, finds and removes a run's workloads. Parts are created together, and awaited at first use."""

    cluster: Cluster
    profile: Profile
    scope: RunScope
    waiter: Waiter
    api_versions: Mapping[str, str]
    """SMI group (short name) → version of the arena's own objects."""
    _pods: dict[str, dict[str, WorkloadPod]] = field(default_factory=dict)
    _created_at: dict[str, float] = field(default_factory=dict)
    """Part → the time of its creation, on the waiter's clock."""
    _readiness: PodReadiness = field(init=False)

    def __post_init__(self) -> None:
        self._readiness = PodReadiness(self.cluster, self.scope.run, self.waiter.clock)

    def namespace(self, part: str) -> str:
        """The namespace of a part (``main``) in this run."""
        return self.scope.namespace(WORKLOADS[part])

    def create(self, parts: Iterable[str]) -> None:
        """Create the parts that do not exist yet, without waiting for their pods."""
        missing = [part for part in parts if part not in self._created_at]
        self._created_at.update(dict.fromkeys(missing, self.waiter.clock.now()))
        with ThreadPoolExecutor(max_workers=4, thread_name_prefix="arena") as pool:
            # Pods come last, of all parts: a sidecar that starts after all Services receives them in one
            # update instead of one by one.
            pods = list(pool.map(self._create_all_but_pods, missing))
            list(pool.map(self.cluster.apply, pods))

    def _create_all_but_pods(self, part: str) -> list[Object]:
        """Create the objects of a part except its Pods and Deployments, which are returned."""
        objects = self.scope.localize(load(f"workloads/{part}.yaml"), WORKLOADS.values())
        (namespace,) = [item for item in objects if item["kind"] == "Namespace"]
        membership = _membership(part)
        extra: list[Object] = []
        for one in _memberships(self.profile, membership):
            namespace = with_metadata(namespace, one.namespace)
            extra += self._filled(one.objects, self.namespace(part))
        objects = _tailored(self.profile, self.scope, objects)
        if membership == "open" and self.profile.requires_targets:
            # Permits of unclaimed kinds have no effect, and no call of the run needs them.
            permits = load(f"permits/{part}.yaml")
            extra += self.render(
                one for one in permits if not unclaimed_kind_reason(self.profile, self.api_versions, [one])
            )
        pods: list[Object] = [item for item in objects if item["kind"] in _PODS]
        others = [item for item in objects if item["kind"] not in {"Namespace", *_PODS}]
        self.cluster.apply([namespace])
        extra += self.scope.rules.namespace_objects(self.namespace(part))
        self.cluster.apply(self.scope.localize(extra, WORKLOADS.values()))
        self.cluster.apply([self._probe(part), *others])
        return pods

    def _filled(self, objects: Iterable[Object], namespace: str) -> list[dict[str, Any]]:
        filled = fill_namespace(objects, namespace)
        for item in filled:
            version, kind = item["apiVersion"], item["kind"]
            # The path of a cluster-scoped object does not depend on the namespace. Such an object would
            # outlive the arena, and an older object of its name is not the run's to delete.
            if self.cluster.path(version, kind, namespace) == self.cluster.path(version, kind):
                what = f"{kind} {item['metadata']['name']}"
                raise ClusterError(
                    f"profile {self.profile.name}: {what} is cluster-scoped and would be left behind; "
                    "install it with the mesh"
                )
        return filled

    def required_groups(self, parts: Iterable[str]) -> tuple[str, ...]:
        """The SMI groups (short names) of the objects that these parts themselves need."""
        opened = any(_membership(part) == "open" for part in parts)
        return ("access", "specs") if opened and self.profile.requires_targets else ()

    def _probe(self, part: str) -> Object:
        probe = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": CONTAINER, "namespace": self.namespace(part)},
            "binaryData": {"probe.pyz": base64.b64encode(probe_bundle.build()).decode("ascii")},
        }
        return self.scope.localize([probe], ())[0]

    def render(self, objects: Iterable[Object], wire: WireFormat | None = None) -> list[dict[str, Any]]:
        """Fixture objects as this run writes them: localized, in the versions of a scenario or of the arena.

        Raises NotInVersion, and NotClaimed for an object of an unclaimed kind or with a reference to one.
        """
        return render_objects(self.profile, self.scope, objects, wire or WireFormat(self.api_versions))

    def wait_ready(self, parts: Iterable[str]) -> None:
        """Wait until the pods of these parts are ready, and check that they joined the mesh if they must.

        Pods have three minutes from their creation, unless they cannot get ready at all. After that each
        scenario that needs them checks once more without waiting. Raises NotReady with the reasons.
        """
        for part in parts:
            if part in self._pods:
                continue
            self.create([part])
            namespace, expected = self.namespace(part), _expected_workloads(part)
            because = f"pods of {namespace} ready"
            elapsed = self.waiter.clock.now() - self._created_at[part]
            try:
                pods, _ = self.waiter.until(
                    partial(self._readiness.ready_pods, namespace, expected),
                    within=max(READY_WITHIN_S - elapsed, 0.0),
                    because=because,
                    so_far=partial(self._readiness.reason, namespace),
                    longest_pause=0.1,
                )
            except NotSeen as error:
                late = NotSeen(because, READY_WITHIN_S)
                raise NotReady(f"{late}; {self._readiness.describe(namespace, expected)}") from error
            self._check_joined(part, pods)
            self._pods[part] = {pod.workload: pod for pod in map(_pod, pods)}

    def _check_joined(self, part: str, pods: list[dict[str, Any]]) -> None:
        if not self.profile.join.sidecar or _membership(part) == "outside":
            return
        unjoined = [pod["metadata"]["name"] for pod in pods if len(containers(pod)) < 2]
        if unjoined:
            raise NotReady(
                f"pods did not join the mesh {self.profile.name} (no sidecar): {', '.join(unjoined)}; "
                "is the mesh installed, and do the profile's join.namespace and join.pod make pods join?"
            )

    def pod(self, address: str) -> WorkloadPod:
        """The pod of a workload, addressed ``part/workload`` (``main/client``), once its part is ready."""
        part, _, workload = address.partition("/")
        self.wait_ready([part])
        try:
            return self._pods[part][workload]
        except KeyError:
            raise ClusterError(f"no workload {workload!r} in the arena's part {part!r}") from None

    def invalidate(self, part: str) -> None:
        """Look up the part's pods again at their next use, after workloads were added or removed."""
        self._pods.pop(part, None)

    def adopt(self, address: str) -> WorkloadPod:
        """Wait for a workload that a scenario added, and register it under its address."""
        part, _, workload = address.partition("/")
        namespace, expected = self.namespace(part), _expected_workloads(part)

        def ready_pod() -> WorkloadPod | None:
            for pod in self._readiness.pods(namespace):
                if pod["metadata"]["annotations"].get(WORKLOAD_ANNOTATION) == workload:
                    if is_ready(pod):
                        return _pod(pod)
                    if is_stuck(pod):
                        reasons = self._readiness.describe(namespace, expected)
                        raise NotReady(f"{address} does not get ready; {reasons}")
            return None

        try:
            found, _ = self.waiter.until(ready_pod, within=READY_WITHIN_S, because=f"{address} ready")
        except NotSeen as error:
            raise NotReady(f"{error}; {self._readiness.describe(namespace, expected)}") from error
        self._pods.setdefault(part, {})[workload] = found
        return found

    def workloads(self, part: str) -> list[str]:
        """The addresses of all workloads of a part."""
        self.wait_ready([part])
        return [f"{part}/{workload}" for workload in self._pods[part]]

    def delete_except(self, parts: Iterable[str]) -> None:
        """Delete the namespaces of all other parts, without waiting; these must not be created again."""
        others = self._created_at.keys() - set(parts)
        self.cluster.delete(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace(part)}}
            for part in sorted(others)
        )
        for part in others:
            del self._created_at[part]
            self._pods.pop(part, None)

    def remove(self) -> None:
        """Delete the run's namespaces with all their objects, and wait until they are gone."""
        remove(self.cluster, self.waiter, f"{RUN_LABEL}={self.scope.run}")
        self._pods.clear()
        self._created_at.clear()


def remove(cluster: Cluster, waiter: Waiter, labels: str) -> list[str]:
    """Delete the namespaces that match a label selector, wait until they are gone, and return their names.

    Raises NotReady if a namespace still exists after two minutes.
    """
    namespaces = cluster.list("v1", "Namespace", labels=labels)
    cluster.delete(namespaces)
    names = sorted(item["metadata"]["name"] for item in namespaces)
    try:
        waiter.until(
            lambda: not cluster.list("v1", "Namespace", labels=labels),
            within=GONE_WITHIN_S,
            because=f"{len(names)} namespaces gone",
        )
    except NotSeen as error:
        raise NotReady(
            f"{error}; see their status with `kubectl get namespaces -l {RUN_LABEL} -o yaml`"
        ) from error
    return names


def render_objects(
    profile: Profile, scope: RunScope, objects: Iterable[Object], wire: WireFormat
) -> list[dict[str, Any]]:
    """Fixture objects as a mesh receives them; like `Arena.render`, but without a cluster."""
    localized = _tailored(profile, scope, scope.localize(objects, WORKLOADS.values()))
    if reason := unclaimed_kind_reason(profile, wire.versions, localized):
        raise NotClaimed(reason)
    return [render(item, wire.versions, wire.listed, wire.headers) for item in localized]


def _tailored(profile: Profile, scope: RunScope, objects: Iterable[Object]) -> list[dict[str, Any]]:
    """Localized objects with the profile's labels and annotations for their namespaces."""
    parts = {scope.namespace(name): part for part, name in WORKLOADS.items()}
    result: list[dict[str, Any]] = []
    for item in objects:
        part = parts.get(item["metadata"].get("namespace", ""))
        memberships = _memberships(profile, _membership(part)) if part else []
        inside = part is not None and part != OUTSIDE
        one = tailor(profile, memberships, item, inside=inside)
        result += [] if one is None else [one]
    return result


def _memberships(profile: Profile, membership: str) -> list[Membership]:
    if membership == OUTSIDE:
        return [profile.outside]
    opened = profile.access.open
    return [profile.join, *([opened] if membership == "open" and opened else [])]


def _expected_workloads(part: str) -> set[str]:
    """The names of the workloads in a part's fixtures."""
    items = load(f"workloads/{part}.yaml")
    return {item["metadata"]["name"] for item in items if item["kind"] in _PODS}


def _membership(part: str) -> str:
    items = load(f"workloads/{part}.yaml")
    (namespace,) = [item for item in items if item["kind"] == "Namespace"]
    return str(namespace["metadata"]["labels"][MEMBERSHIP_LABEL])


def _pod(pod: Object) -> WorkloadPod:
    metadata = pod["metadata"]
    workload = metadata["annotations"][WORKLOAD_ANNOTATION]
    return WorkloadPod(metadata["namespace"], metadata["name"], workload, pod["status"]["podIP"])
