"""The probes of a cluster in memory, and a small mesh between them that honours TrafficSplits or does not.

Plans are checked and ledgers kept by the probe's own code, so what the real probe refuses is refused here.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Literal

from conformance.drive.arena import MEMBERSHIP_LABEL
from conformance.drive.manifests import WORKLOAD_ANNOTATION
from conformance.judge.quantity import parse_quantity
from conformance.probe.ledger import Entry, Ledger
from conformance.probe.looks import LookTaker
from conformance.probe.plan import Batch, PlanError, read_plan

Objects = dict[tuple[str, str, str], dict[str, Any]]
"""Objects of the cluster by kind, namespace and name."""
End = tuple[dict[str, Any] | None, int]
"""The pod that a request gets to, if it does, and the port there."""
INGRESS = ("gate", "fake-mesh")
"""Name and namespace of the Service by which the ingress is called."""
NO_SUCH_NAME = -1
"""The port of a request whose host does not resolve, as no name under .invalid does (RFC 2606)."""
STEADY = 600
"""Requests of traffic that goes on until it is stopped, before anybody looks."""
MORE = 100
"""Requests of it whenever a ledger is looked at."""
FEW = 5
"""Requests of what goes on as long as the others of its plan do."""


@dataclass
class BackgroundTraffic:
    """Traffic that goes on until it is stopped: its client, what it sends, and what it has observed.

    ``beside`` is what goes on as long as it does.
    """

    client: dict[str, Any]
    batch: Batch
    beside: list[Batch]
    rows: list[list[Any]] = field(default_factory=list)


@dataclass
class FakeMesh:
    """Answers what is asked of a pod's probe."""

    splits: bool = True
    access: Literal["allow", "deny"] = "allow"
    """What holds for pods of namespaces that are under access control; denied calls are reset."""
    strict: bool = False
    """Whether those in the mesh refuse a client outside of it, as where they take nothing but mutual TLS."""
    ingress: Literal["divides", "balances", "sleeps"] = "divides"
    """Whether the ingress follows splits, goes by the root's own endpoints, or does not answer at all."""
    latency_us: int = 900
    ledgers: dict[str, Ledger] = field(default_factory=lambda: defaultdict(Ledger))
    lasted_s: float = 1.0
    """What steady traffic took."""
    endures: bool = True
    """Whether it goes on while it is looked at."""
    background: dict[str, BackgroundTraffic] = field(default_factory=dict)

    def answer(
        self, objects: Objects, pod: dict[str, Any], request: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """The lines that the probe of a pod answers."""
        if request["op"] == "ledger":
            for steady in self.background.values() if self.endures else ():
                self._go_on(objects, steady, MORE)
            ledger = self.ledgers[pod["status"]["podIP"]]
            return [ledger.query(request["batches"], request.get("entries", 200))]
        if request["op"] == "stop":
            steady = self.background.pop(request["handle"], None)
            if steady is None:
                return [{"error": f"no traffic has the handle {request['handle']!r}"}]
            beside = self._rows(objects, pod, steady.beside)
            return list(self._told({steady.batch.id: steady.rows, **beside}))
        started = request["op"] == "start"
        try:
            plan = read_plan(request["plan"], bounded=not started)
        except PlanError as error:
            return [{"error": str(error)}]
        if not started:
            return list(self._told(self._rows(objects, pod, plan.batches)))
        (batch,) = (one for one in plan.batches if not one.until_others)
        handle = f"h{len(self.background) + 1}"
        self.background[handle] = BackgroundTraffic(
            pod, batch, [one for one in plan.batches if one.until_others]
        )
        self._go_on(objects, self.background[handle], STEADY)
        return [{"handle": handle}]

    def events(self, objects: Objects, namespace: str) -> list[dict[str, Any]]:
        """What is told of the splits of a namespace: backends without a port of their root."""
        told = []
        for (kind, where, name), split in objects.items():
            if not self.splits or kind != "TrafficSplit" or where != namespace:
                continue
            root = objects.get(("Service", namespace, split["spec"]["service"]), {"spec": {"ports": []}})
            for port in root["spec"]["ports"]:
                for backend in split["spec"]["backends"]:
                    if _endpoints(objects, namespace, backend["service"], port["port"]) is None:
                        about = {"kind": kind, "name": name}
                        message = f"{backend['service']} has no port {port['port']}"
                        told.append({"metadata": {"name": name}, "involvedObject": about, "message": message})
        return told

    def _rows(
        self, objects: Objects, client: dict[str, Any], batches: Iterable[Batch]
    ) -> dict[str, list[list[Any]]]:
        rows: dict[str, list[list[Any]]] = {}
        for batch in batches:
            draw = self._draws(objects, client, batch)
            count = batch.requests or (FEW if batch.until_others else STEADY)
            looks = LookTaker(batch.looks)
            found = rows[batch.id] = []
            for index in range(count):
                found.append(self._request(batch, index, *draw()))
                if looks.suffices(index, found[-1][2]):
                    break
        return rows

    def _go_on(self, objects: Objects, steady: BackgroundTraffic, count: int) -> None:
        first = len(steady.rows)
        draw = self._draws(objects, steady.client, steady.batch, first)
        steady.rows += [self._request(steady.batch, first + index, *draw()) for index in range(count)]

    def _told(self, found: Mapping[str, list[list[Any]]]) -> Iterator[dict[str, Any]]:
        totals = {}
        yield {"kind": "start"}
        for name, rows in found.items():
            totals[name] = {"observations": len(rows), "complete": True, "took_s": self.lasted_s}
            yield {"batch": name, "observations": rows}
        yield {"kind": "end", "complete": True, "batches": totals}

    def _request(self, batch: Batch, index: int, server: dict[str, Any] | None, port: int) -> list[Any]:
        lanes = 1 if batch.single_connection else batch.concurrency
        connection = index + 1 if batch.per_connection == 1 else index % lanes + 1
        if server is None:
            failure = "dns" if port == NO_SUCH_NAME else "refused"
            return [index, connection, None, None, None, self.latency_us, failure]
        self.ledgers[server["status"]["podIP"]].record(f"{batch.id}.{index}", port, _no_details)
        workload = server["metadata"]["annotations"][WORKLOAD_ANNOTATION]
        status = None if batch.protocol in ("tcp", "udp") else 200
        return [index, connection, workload, port, status, self.latency_us, None]

    def _draws(
        self, objects: Objects, client: dict[str, Any], batch: Batch, first: int = 0
    ) -> Callable[[], End]:
        """Draws where requests of the batch get to, from ``first`` on; the same in every run."""
        if batch.host == "127.0.0.1":
            return lambda: (client, batch.port)
        for (kind, _, _), pod in objects.items():
            if kind == "Pod" and pod["status"]["podIP"] == batch.host:
                return lambda: (pod, batch.port)
        if self.strict and _is_outside(objects, client):
            return lambda: (None, batch.port)
        name, _, rest = batch.host.partition(".")
        if batch.host.endswith(".invalid"):
            return lambda: (None, NO_SUCH_NAME)
        namespace = rest.partition(".")[0] or client["metadata"]["namespace"]
        for (kind, space, called), service in objects.items():
            if kind == "Service" and service["spec"].get("clusterIP") == batch.host:
                name, namespace = called, space
        port, divided = batch.port, self.splits and not _is_outside(objects, client)
        if (name, namespace) == INGRESS and (entered := self._entered(objects, batch)):
            namespace, name, port = entered
            divided = self.splits and self.ingress == "divides"
        weights = _weights(objects, namespace, name, batch) if divided else {name: 1}
        found = {one: _endpoints(objects, namespace, one, port) for one in weights}
        ends = {one: behind for one, behind in found.items() if behind is not None}
        weights = {one: weights[one] for one in ends}
        if self.access == "deny":
            ends = {
                one: [end for end in behind if _granted(objects, client, end[0], batch)]
                for one, behind in ends.items()
            }
            weights = {one: weights[one] for one in ends if ends[one]}
        totals = list(accumulate(weights.values()))
        if not totals or totals[-1] <= 0:
            return lambda: (None, batch.port)
        chance = random.Random(f"{batch.id}.{first}" if first else batch.id)
        return lambda: chance.choice(ends[chance.choices(list(ends), cum_weights=totals)[0]])

    def _entered(self, objects: Objects, batch: Batch) -> tuple[str, str, int] | None:
        """Namespace, name and port of the service that the ingress leads a request's host to."""
        host = {name.lower(): value for name, value in batch.headers}.get("host")
        for (kind, namespace, _), item in objects.items():
            if (
                kind != "Ingress"
                or item["spec"].get("ingressClassName") != "fake"
                or self.ingress == "sleeps"
            ):
                continue
            for rule in item["spec"]["rules"]:
                service = rule["http"]["paths"][0]["backend"]["service"]
                if rule["host"] == host:
                    return namespace, service["name"], service["port"]["number"]
        return None


def _granted(
    objects: Objects, client: Mapping[str, Any], server: Mapping[str, Any] | None, batch: Batch
) -> bool:
    """Whether access control lets a request through: where it is in force, a target and a match allow it."""
    namespace = server["metadata"]["namespace"] if server else ""
    home = objects["Namespace", "", namespace]["metadata"]["labels"] if server else {}
    if server is None or home.get(MEMBERSHIP_LABEL) != "joined":
        return True
    for (kind, where, _), target in objects.items():
        spec = target.get("spec") or {} if kind == "TrafficTarget" and where == namespace else {}
        callers = [(one["namespace"], one["name"]) for one in spec.get("sources", ())]
        caller = (client["metadata"]["namespace"], client["spec"]["serviceAccountName"])
        if caller in callers and spec["destination"]["name"] == server["spec"]["serviceAccountName"]:
            for rule in spec["rules"]:
                group = objects.get(("HTTPRouteGroup", namespace, rule["name"]), {"spec": {"matches": []}})
                if any(re.fullmatch(one["pathRegex"], batch.path) for one in group["spec"]["matches"]):
                    return True
    return False


def _is_outside(objects: Objects, client: Mapping[str, Any]) -> bool:
    home = objects["Namespace", "", client["metadata"]["namespace"]]["metadata"]["labels"]
    return bool(home[MEMBERSHIP_LABEL] == "outside")


def _weights(objects: Objects, namespace: str, name: str, batch: Batch) -> dict[str, float]:
    for (kind, where, _), split in objects.items():
        spec = split.get("spec") or {} if kind == "TrafficSplit" else {}
        backends = spec.get("backends")
        its_own = backends and (where, spec["service"]) == (namespace, name)
        if its_own and _selects(objects, split, batch):
            return {one["service"]: max(0.0, _weight(one)) for one in backends}
    return {name: 1}


def _weight(backend: Mapping[str, Any]) -> float:
    weight = backend["weight"]
    return float(weight if isinstance(weight, int | float) else parse_quantity(weight))


def _selects(objects: Objects, split: Mapping[str, Any], batch: Batch) -> bool:
    """Whether a split is about the requests of a batch: by path and headers, the conditions known here."""
    references = split["spec"].get("matches") or ()
    namespace = split["metadata"]["namespace"]
    groups = [objects.get(("HTTPRouteGroup", namespace, reference["name"])) for reference in references]
    sent = {name.lower(): value for name, value in dict(batch.headers).items()}
    return not references or any(
        re.fullmatch(match.get("pathRegex", ".*"), batch.path)
        and all(
            re.fullmatch(pattern, sent.get(name.lower(), ""))
            for name, pattern in match.get("headers", {}).items()
        )
        for group in groups
        if group is not None
        for match in group["spec"]["matches"]
    )


def _endpoints(objects: Objects, namespace: str, service: str, port: int) -> list[End] | None:
    """Where a port of a service leads; None for one that does not exist, or has not that port."""
    if ("Service", namespace, service) not in objects:
        return None
    found = objects["Service", namespace, service]["spec"]
    targets = [one["targetPort"] for one in found["ports"] if one["port"] == port]
    if not targets:
        return None
    ends: list[End] = []
    for (kind, where, _), pod in objects.items():
        matches = kind == "Pod" and found["selector"].items() <= pod["metadata"]["labels"].items()
        if matches and where == namespace:
            ports = {one["name"]: one["containerPort"] for one in pod["spec"]["containers"][0]["ports"]}
            number = ports.get(targets[0], targets[0])
            ends.append((pod if number in ports.values() else None, number))
    return ends or [(None, port)]


def _no_details() -> Entry:
    return Entry(8080, "GET", "/", {}, 0, "10.0.0.9")
