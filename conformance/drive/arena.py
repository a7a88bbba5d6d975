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
from conformance.drive.podstates import containers, final, is_ready, problem, unscheduled
from conformance.drive.rendering import WireFormat, render
from conformance.drive.tailoring import NotClaimed, lacking, marked, tailored
from conformance.drive.wait import NotSeen, Waiter
from conformance.profiles import Membership, Profile

MEMBERSHIP_LABEL = "smi-conformance.dev/membership"
CONTAINER = "probe"
OUTSIDE = "outside"
"""The part of the arena that is not in the mesh."""
UDP = "udp"
"""The part whose servers are of UDP: it is made only where the profile says that UDP is governed."""
WORKLOADS = {name: f"smi-{name}" for name in ("main", "access", "peer", OUTSIDE, "metrics", UDP)}
"""Parts of the arena with the namespaces that their fixtures name; each is a file of fixtures/workloads."""
_PODS = ("Pod", "Deployment")
READY_WITHIN_S = 180.0
GONE_WITHIN_S = 120.0
UNSCHEDULED_S = 60.0
"""So long a scheduler may have no node for a pod before that is its last word: a cluster may be adding nodes.

The reason is told from the first moment."""

_REMEDIES = {
    "Image": "--image names another image for the workloads",
    "untolerated taint": "--toleration names a taint that the workloads tolerate",
    "node affinity/selector": "--node-selector names a label that the nodes have",
}
"""What helps where a word of this stands in what keeps a pod."""
REFUSED_S = 10.0
"""So long pods of a Deployment may be refused: what a quota counts may be on its way out."""


class NotReady(ClusterError):
    """The sample workloads did not get ready, or did not join the mesh."""


@dataclass(frozen=True, slots=True)
class Pod:
    """One sample workload's pod."""

    namespace: str
    name: str
    workload: str
    ip: str


@dataclass(slots=True)
class Arena:
    """Makes, finds and removes a run's workloads. Parts are made together and waited for when first used."""

    cluster: Cluster
    profile: Profile
    scope: RunScope
    waiter: Waiter
    api_versions: Mapping[str, str]
    """SMI group (short name) → version that the arena's own objects are written in."""
    _pods: dict[str, dict[str, Pod]] = field(default_factory=dict)
    _prepared: dict[str, float] = field(default_factory=dict)
    """Part → when it was made, on the waiter's clock."""
    _homeless: dict[str, float] = field(default_factory=dict)
    """Namespace → since when no node takes one of its pods."""
    _refused: dict[str, float] = field(default_factory=dict)
    """Namespace → since when the API server is known to refuse pods of a Deployment there."""
    _keeping: dict[str, str] = field(default_factory=dict)
    """Namespace → what keeps a pod there from getting ready, for whoever waits."""

    def namespace(self, part: str) -> str:
        """The namespace of a part (``main``) in this run."""
        return self.scope.namespace(WORKLOADS[part])

    def prepare(self, parts: Iterable[str]) -> None:
        """Create the parts that are not there yet, without waiting for their pods."""
        missing = [part for part in parts if part not in self._prepared]
        self._prepared.update(dict.fromkeys(missing, self.waiter.clock.now()))
        with ThreadPoolExecutor(max_workers=4, thread_name_prefix="arena") as pool:
            # Pods come last, of all parts: a sidecar that starts when all services are there is told of them
            # once, and not of one after the other.
            pods = list(pool.map(self._make, missing))
            list(pool.map(self.cluster.apply, pods))

    def _make(self, part: str) -> list[Object]:
        """Makes all of a part but its pods, and returns what these come from."""
        objects = self.scope.place(load(f"workloads/{part}.yaml"), WORKLOADS.values())
        (namespace,) = [item for item in objects if item["kind"] == "Namespace"]
        membership = _membership(part)
        extra: list[Object] = []
        for one in _memberships(self.profile, membership):
            namespace = marked(namespace, one.namespace)
            extra += self._filled(one.objects, self.namespace(part))
        objects = _tailored(self.profile, self.scope, objects)
        if membership == "open" and self.profile.requires_targets:
            # What a mesh does not claim it cannot be permitted by; nor is it called by that.
            permits = load(f"permits/{part}.yaml")
            extra += self.render(
                one for one in permits if not lacking(self.profile, self.api_versions, [one])
            )
        pods: list[Object] = [item for item in objects if item["kind"] in _PODS]
        others = [item for item in objects if item["kind"] not in {"Namespace", *_PODS}]
        self.cluster.apply([namespace])
        extra += self.scope.rules.objects(self.namespace(part))
        self.cluster.apply(self.scope.place(extra, WORKLOADS.values()))
        self.cluster.apply([self._probe(part), *others])
        return pods

    def _filled(self, objects: Iterable[Object], namespace: str) -> list[dict[str, Any]]:
        filled = fill_namespace(objects, namespace)
        for item in filled:
            version, kind = item["apiVersion"], item["kind"]
            # What lies in no namespace is served at one place, whichever is asked for. It would not go with
            # the arena, and what was there before is not the run's to delete.
            if self.cluster.path(version, kind, namespace) == self.cluster.path(version, kind):
                what = f"{kind} {item['metadata']['name']}"
                raise ClusterError(
                    f"profile {self.profile.name}: {what} lies in no namespace, and would be left behind; "
                    "install it with the mesh"
                )
        return filled

    def groups(self, parts: Iterable[str]) -> tuple[str, ...]:
        """SMI groups (short names) whose objects these parts themselves need."""
        opened = any(_membership(part) == "open" for part in parts)
        return ("access", "specs") if opened and self.profile.requires_targets else ()

    def _probe(self, part: str) -> Object:
        probe = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": CONTAINER, "namespace": self.namespace(part)},
            "binaryData": {"probe.pyz": base64.b64encode(probe_bundle.build()).decode("ascii")},
        }
        return self.scope.place([probe], ())[0]

    def render(self, objects: Iterable[Object], wire: WireFormat | None = None) -> list[dict[str, Any]]:
        """Fixture objects as this run writes them: placed, and in the versions of a scenario or of the arena.

        Raises NotExpressible, and NotClaimed where one is of a kind that is not claimed, or refers to it.
        """
        return written(self.profile, self.scope, objects, wire or WireFormat(self.api_versions))

    def ready(self, parts: Iterable[str]) -> None:
        """Wait until the pods of these parts are ready, and make sure that those who should have joined did.

        Pods have three minutes from when they were made, as long as they may still get ready. What was not by
        then is looked at once more by each scenario that needs it, and not waited for again. Raises NotReady
        with what is known about the pods that are not.
        """
        for part in parts:
            if part in self._pods:
                continue
            self.prepare([part])
            namespace = self.namespace(part)
            because = f"pods of {namespace} ready"
            gone = self.waiter.clock.now() - self._prepared[part]
            try:
                pods, _ = self.waiter.until(
                    partial(self._look, namespace),
                    within=max(READY_WITHIN_S - gone, 0.0),
                    because=because,
                    so_far=lambda: self._keeping.get(namespace, ""),  # noqa: B023
                    longest_pause=0.1,
                )
            except NotSeen as error:
                late = NotSeen(because, READY_WITHIN_S)
                raise NotReady(f"{late}; {self._unready(namespace)}") from error
            self._check_joined(part, pods)
            self._pods[part] = {pod.workload: pod for pod in map(_pod, pods)}

    def _ready_pods(self, namespace: str) -> list[dict[str, Any]] | None:
        pods = self._all_pods(namespace)
        wanted = self.expected_workloads(namespace)
        there = {pod["metadata"]["annotations"].get(WORKLOAD_ANNOTATION) for pod in pods}
        return pods if wanted <= there and all(map(is_ready, pods)) else None

    def _all_pods(self, namespace: str) -> list[dict[str, Any]]:
        pods = self.cluster.list("v1", "Pod", namespace, labels=f"{RUN_LABEL}={self.scope.run}")
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def expected_workloads(self, namespace: str) -> set[str]:
        """Names of the workloads that the fixtures put into a namespace of this run."""
        (part,) = [part for part in WORKLOADS if self.namespace(part) == namespace]
        items = load(f"workloads/{part}.yaml")
        return {item["metadata"]["name"] for item in items if item["kind"] in _PODS}

    def _unready(self, namespace: str) -> str:
        names: dict[str, list[str]] = {}
        for pod in self._all_pods(namespace):
            if not is_ready(pod):
                names.setdefault(problem(pod), []).append(pod["metadata"]["name"])
        problems = [
            f"{'pods' if len(pods) > 1 else 'pod'} {', '.join(pods)}: {why}" for why, pods in names.items()
        ]
        problems += self._refusals(namespace, self._all_pods(namespace))
        for sign, remedy in _REMEDIES.items():
            if any(sign in why for why in names):
                problems.append(remedy)
        return "; ".join(problems) or "no pods were created: see `kubectl get events -n " + namespace + "`"

    def _refusals(self, namespace: str, pods: Iterable[Object]) -> list[str]:
        """Why pods of Deployments were not made, where the API server told their controller."""
        there = {pod["metadata"]["annotations"].get(WORKLOAD_ANNOTATION) for pod in pods}
        if self.expected_workloads(namespace) <= there:
            return []
        events = self.cluster.list("v1", "Event", namespace)
        told = [str(one.get("message", ""))[:300] for one in events if one.get("reason") == "FailedCreate"]
        return list(dict.fromkeys(told))[:1]

    def _look(self, namespace: str) -> list[dict[str, Any]] | None:
        """The pods of a namespace once all are ready. Raises NotReady as soon as one never will be.

        What keeps them is told while one waits. That no node takes a pod is believed after a while: another
        may be about to make room.
        """
        if (ready := self._ready_pods(namespace)) is not None:
            return ready
        pods = self._all_pods(namespace)
        waiting = [pod for pod in pods if not is_ready(pod)]
        homeless = next(filter(None, map(unscheduled, waiting)), "")
        now = self.waiter.clock.now()
        if homeless:
            self._homeless.setdefault(namespace, now)
        else:
            self._homeless.pop(namespace, None)
        # What was waited for in one namespace is not waited for again in the next one.
        since = min(self._homeless.values(), default=now)
        refused = self._refusals(namespace, pods)
        first = self._refused.setdefault(namespace, now) if refused else self._refused.pop(namespace, now)
        self._keeping[namespace] = next((problem(pod) for pod in waiting), "; ".join(refused))
        never = any(map(final, waiting)) or (refused and now - first >= REFUSED_S)
        if never or (homeless and now - since >= UNSCHEDULED_S):
            raise NotReady(f"pods of {namespace} do not get ready; {self._unready(namespace)}")
        return None

    def _check_joined(self, part: str, pods: list[dict[str, Any]]) -> None:
        if not self.profile.join.sidecar or _membership(part) == "outside":
            return
        alone = [pod["metadata"]["name"] for pod in pods if len(containers(pod)) < 2]
        if alone:
            raise NotReady(
                f"pods did not join the mesh {self.profile.name} (no sidecar): {', '.join(alone)}; "
                "is the mesh installed, and do the profile's join.namespace and join.pod make pods join?"
            )

    def pod(self, address: str) -> Pod:
        """The pod of a workload, addressed ``part/workload`` (``main/client``); its part gets ready first."""
        part, _, workload = address.partition("/")
        self.ready([part])
        try:
            return self._pods[part][workload]
        except KeyError:
            raise ClusterError(f"no workload {workload!r} in the arena's part {part!r}") from None

    def forget(self, part: str) -> None:
        """Look the part's pods up again when they are next needed (after workloads came or went)."""
        self._pods.pop(part, None)

    def adopt(self, address: str) -> Pod:
        """Wait for a workload that a scenario itself added, and make it known under its address."""
        part, _, workload = address.partition("/")
        namespace = self.namespace(part)

        def look() -> Pod | None:
            for pod in self._all_pods(namespace):
                if pod["metadata"]["annotations"].get(WORKLOAD_ANNOTATION) == workload:
                    if is_ready(pod):
                        return _pod(pod)
                    if final(pod):
                        raise NotReady(f"{address} does not get ready; {self._unready(namespace)}")
            return None

        try:
            found, _ = self.waiter.until(look, within=READY_WITHIN_S, because=f"{address} ready")
        except NotSeen as error:
            raise NotReady(f"{error}; {self._unready(namespace)}") from error
        self._pods.setdefault(part, {})[workload] = found
        return found

    def workloads(self, part: str) -> list[str]:
        """Addresses of all known workloads of a part."""
        self.ready([part])
        return [f"{part}/{workload}" for workload in self._pods[part]]

    def keep(self, parts: Iterable[str]) -> None:
        """Delete the namespaces of all other parts. They are not waited for, and may not be made again."""
        others = self._prepared.keys() - set(parts)
        self.cluster.delete(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace(part)}}
            for part in sorted(others)
        )
        for part in others:
            del self._prepared[part]
            self._pods.pop(part, None)

    def remove(self) -> None:
        """Delete the run's namespaces, and so all that it made, and wait until they are gone."""
        remove(self.cluster, self.waiter, f"{RUN_LABEL}={self.scope.run}")
        self._pods.clear()
        self._prepared.clear()


def remove(cluster: Cluster, waiter: Waiter, labels: str) -> list[str]:
    """Delete the namespaces that a label selector matches, and wait until they are gone; returns their names.

    Raises NotReady when some are still there after two minutes.
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
            f"{error}; look at their status with `kubectl get namespaces -l {RUN_LABEL} -o yaml`"
        ) from error
    return names


def written(
    profile: Profile, scope: RunScope, objects: Iterable[Object], wire: WireFormat
) -> list[dict[str, Any]]:
    """Fixture objects as a mesh gets them, as `Arena.render` says, which needs no cluster."""
    placed = _tailored(profile, scope, scope.place(objects, WORKLOADS.values()))
    if reason := lacking(profile, wire.versions, placed):
        raise NotClaimed(reason)
    return [render(item, wire.versions, wire.listed, wire.headers) for item in placed]


def _tailored(profile: Profile, scope: RunScope, objects: Iterable[Object]) -> list[dict[str, Any]]:
    """Placed objects as the profile asks for them, each in its namespace."""
    parts = {scope.namespace(name): part for part, name in WORKLOADS.items()}
    made: list[dict[str, Any]] = []
    for item in objects:
        part = parts.get(item["metadata"].get("namespace", ""))
        memberships = _memberships(profile, _membership(part)) if part else []
        inside = part is not None and part != OUTSIDE
        one = tailored(profile, memberships, item, inside=inside)
        made += [] if one is None else [one]
    return made


def _memberships(profile: Profile, membership: str) -> list[Membership]:
    if membership == OUTSIDE:
        return [profile.outside]
    opened = profile.access.open
    return [profile.join, *([opened] if membership == "open" and opened else [])]


def _membership(part: str) -> str:
    items = load(f"workloads/{part}.yaml")
    (namespace,) = [item for item in items if item["kind"] == "Namespace"]
    return str(namespace["metadata"]["labels"][MEMBERSHIP_LABEL])


def _pod(pod: Object) -> Pod:
    metadata = pod["metadata"]
    workload = metadata["annotations"][WORKLOAD_ANNOTATION]
    return Pod(metadata["namespace"], metadata["name"], workload, pod["status"]["podIP"])
