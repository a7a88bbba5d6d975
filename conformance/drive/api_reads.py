"""Requests to the API server as evidence: metrics, discovery, Events, and round trips of SMI objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from conformance.catalogue import GROUPS
from conformance.clusters import Account, Cluster, ClusterError, Object
from conformance.drive.wait import NotSeen, Waiter
from conformance.model.evidence import ApiRead, RoundTrip
from conformance.profiles import Claims

DELETED_WITHIN_S = 10.0
"""Seconds within which an object without finalizers must be gone."""
METRICS = f"/apis/{GROUPS['metrics']}/v1alpha1"
UNAVAILABLE = 503
AVAILABLE_WITHIN_S = 10.0
"""Seconds for which a request is repeated after 503, as clients of the API server do.

The aggregator answers 503 if it has no ready endpoint at the moment, whether or not the API is served.
"""


@dataclass(slots=True)
class Reader:
    """Reads as the runner or as an account, and records the times."""

    cluster: Cluster
    waiter: Waiter
    _started: float = field(init=False)
    _unavailable: bool = False

    def __post_init__(self) -> None:
        self._started = self.waiter.clock.now()

    def read(self, path: str, account: Account | None = None, *, accept: str = "application/json") -> ApiRead:
        """One GET, with any status; repeated after 503 for `AVAILABLE_WITHIN_S`.

        After an API stayed unavailable, 503 is returned at once until the API answers again.
        """
        who = f"{account.namespace}/{account.name}" if account else "the runner"
        began = self._seconds()
        reads: list[ApiRead] = []

        def available() -> bool:
            answer = self.cluster.request("GET", path, account=account, accept=accept)
            at_s = self._seconds()
            away_s = round(at_s - began, 3) if reads else 0.0
            reads.append(ApiRead(who, path, answer.status, answer.body, at_s, away_s))
            return answer.status != UNAVAILABLE

        within_s = 0.0 if self._unavailable else AVAILABLE_WITHIN_S
        with suppress(NotSeen):
            self.waiter.until(available, within=within_s, because=f"{path} is available")
        self._unavailable = reads[-1].status == UNAVAILABLE
        return reads[-1]

    def _seconds(self) -> float:
        return round(self.waiter.clock.now() - self._started, 3)

    def events(self, item: Object) -> ApiRead:
        """The Events about an object; they are kept for about an hour, so an earlier object of its name may
        have some of them."""
        metadata = item["metadata"]
        involved = {"kind": item["kind"], "name": metadata["name"]}
        selector = ",".join(f"involvedObject.{key}={value}" for key, value in involved.items())
        path = f"/api/v1/namespaces/{metadata['namespace']}/events"
        answer = self.cluster.request("GET", path, query={"fieldSelector": selector})
        at_s = self._seconds()
        return ApiRead("the runner", f"{path}?fieldSelector={selector}", answer.status, answer.body, at_s)

    def metrics(
        self,
        namespace: str,
        kind: str,
        name: str = "",
        *,
        edges: bool = False,
        account: Account | None = None,
    ) -> ApiRead:
        """TrafficMetrics of an object, of its edges, or of all objects of a kind in a namespace."""
        parts = [
            METRICS,
            "namespaces",
            namespace,
            kind,
            *([name] if name else []),
            *(["edges"] if edges else []),
        ]
        return self.read("/".join(parts), account)


def round_trips(cluster: Cluster, waiter: Waiter, items: Iterable[Object]) -> list[RoundTrip]:
    """Round trips of several objects, in parallel, since each waits for its watch to end.

    Raises ClusterError for a kind that is not served.
    """
    with ThreadPoolExecutor() as pool:
        return list(pool.map(partial(round_trip, cluster, waiter, within_s=DELETED_WITHIN_S), items))


def round_trip(cluster: Cluster, waiter: Waiter, item: Object, *, within_s: float) -> RoundTrip:
    """Create, read, list, watch, patch, replace and delete an object through the API server.

    A verb is true if the API server accepted it and a later read shows its effect.
    """
    metadata = item["metadata"]
    collection = cluster.path(item["apiVersion"], item["kind"], metadata["namespace"])
    own = f"{collection}/{metadata['name']}"
    verbs: dict[str, bool] = {}
    created = cluster.request("POST", collection, item)
    verbs["create"] = created.status == 201
    read = cluster.request("GET", own)
    verbs["get"] = read.status == 200
    stored: dict[str, Any] = read.body if read.status == 200 else {}
    listed = cluster.request("GET", collection)
    items = listed.body.get("items", []) if listed.status == 200 else []
    verbs["list"] = metadata["name"] in [one["metadata"]["name"] for one in items]
    mark = {"metadata": {"annotations": {"smi-conformance.dev/patched": "yes"}}}
    patched = cluster.request("PATCH", own, mark, content_type="application/merge-patch+json")
    verbs["patch"] = patched.status == 200 and _marks(patched.body) == {"patched"}
    verbs["watch"] = verbs["get"] and _watched(cluster, collection, metadata["name"], stored)
    if verbs["patch"]:
        patched.body["metadata"]["annotations"]["smi-conformance.dev/replaced"] = "yes"
    replaced = cluster.request("PUT", own, patched.body) if verbs["patch"] else patched
    verbs["replace"] = replaced.status == 200 and _marks(replaced.body) == {"patched", "replaced"}
    deleted = cluster.request("DELETE", own)
    verbs["delete"] = deleted.status in {200, 202} and _gone(cluster, waiter, own, within_s)
    return RoundTrip(item["apiVersion"], item["kind"], item, stored, verbs)


def _marks(item: Object) -> set[str]:
    annotations = item["metadata"].get("annotations", {})
    return {key.partition("/")[2] for key in annotations if key.startswith("smi-conformance.dev/")}


def _watched(cluster: Cluster, collection: str, name: str, stored: Object) -> bool:
    """Whether a watch from the read resource version shows the patch."""
    query = {
        "watch": "true",
        "timeoutSeconds": "1",
        "resourceVersion": str(stored["metadata"]["resourceVersion"]),
        "fieldSelector": f"metadata.name={name}",
    }
    answer = cluster.request("GET", collection, query=query)
    events = answer.body if isinstance(answer.body, list) else [answer.body]
    return answer.status == 200 and any(
        isinstance(event, dict) and event.get("type") == "MODIFIED" and "patched" in _marks(event["object"])
        for event in events
    )


def _gone(cluster: Cluster, waiter: Waiter, path: str, within_s: float) -> bool:
    try:
        waiter.until(
            lambda: cluster.request("GET", path).status == 404, within=within_s, because=f"{path} deleted"
        )
    except NotSeen:
        return False
    return True


def served_kinds(cluster: Cluster) -> Iterator[tuple[str, str, str]]:
    """Every (group, version, kind) of SMI's groups in discovery.

    A version whose discovery fails or cannot be parsed, as a mesh may serve it, has no kinds.
    """
    answer = cluster.request("GET", "/apis")
    if answer.status != 200:
        raise ClusterError(f"the API server does not list its groups (HTTP {answer.status})")
    for group in answer.body["groups"]:
        if group["name"] not in GROUPS.values():
            continue
        for version in group["versions"]:
            resources = cluster.request("GET", f"/apis/{version['groupVersion']}")
            for kind in kinds_in(resources.body) if resources.status == 200 else ():
                yield group["name"], version["version"], kind


def kinds_in(body: Any) -> list[str]:
    """The kinds in the discovery document of a version; none in what is no such document."""
    listed = body.get("resources") if isinstance(body, dict) else None
    entries = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return list(dict.fromkeys(one["kind"] for one in entries if isinstance(one.get("kind"), str)))


def claimed_kinds(claims: Claims) -> Iterator[tuple[str, str, str]]:
    """Every (group, version, kind) in the claims."""
    for group, versions in claims.by_group().items():
        for version in versions:
            for kind in claims.kinds(group, version):
                yield GROUPS[group], version, kind
