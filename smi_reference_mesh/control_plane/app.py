"""The control plane on one event loop.

Watches keep the store current, each change compiles for all connected workloads, and two web applications
serve sidecars, the API server's webhook calls, and the aggregated metrics API.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from smi_reference_mesh import names
from smi_reference_mesh.control_plane.control_api import ControlApi
from smi_reference_mesh.control_plane.events import kind_of, warning
from smi_reference_mesh.control_plane.fault_loading import load
from smi_reference_mesh.control_plane.injector import SidecarTemplate
from smi_reference_mesh.control_plane.metrics_api import FrontProxy, MetricsApi
from smi_reference_mesh.control_plane.store import OWNERS, WATCHED, ObjectStore, Watched
from smi_reference_mesh.control_plane.subscriptions import Subscriptions
from smi_reference_mesh.control_plane.token_authentication import TokenAuthenticator
from smi_reference_mesh.hooks import DefaultHooks, MeshHooks
from smi_reference_mesh.kube.certificates import CertificateAuthority
from smi_reference_mesh.kube.client import ApiError, KubeClient
from smi_reference_mesh.kube.objects import Workload, name_of, namespace_of
from smi_reference_mesh.metrics.request_counts import RequestCounts
from smi_reference_mesh.metrics.traffic_metrics import KINDS, Inventory, MetricsSnapshot
from smi_reference_mesh.metrics.windowed_counts import Stream, WindowedCounts
from smi_reference_mesh.sidecar.own_traffic import OwnTraffic, own_traffic

_LOG = logging.getLogger("smi_reference_mesh.control_plane")
# Changes come in groups (a manifest of several objects, a pod with its endpoints): one compilation per group.
_DEBOUNCE_S = 0.02
_OBSERVED_EVERY_S = 0.05
_FAULT = "fault"
_NOT_COMPILED = frozenset(kind.key for kind in OWNERS)
_FAULT_PATH = f"/api/v1/namespaces/{names.NAMESPACE}/configmaps"


@dataclass(frozen=True, slots=True)
class ControlPlaneSettings:
    """The control plane's settings, from its Deployment's environment."""

    secrets: Path
    image: str
    window_s: float
    own_traffic: OwnTraffic = "uid"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> ControlPlaneSettings:
        """Reads the settings. Raises KeyError for a missing variable, ValueError for an invalid value."""
        return cls(
            Path(environment.get("SMI_REFERENCE_SECRETS", "/etc/smi-reference")),
            environment["SMI_REFERENCE_IMAGE"],
            float(environment.get("SMI_REFERENCE_WINDOW_S", "10")),
            own_traffic(environment),
        )


class ControlPlane:
    """Connects the store, the compiler, the subscriptions and both APIs."""

    def __init__(
        self, api: KubeClient, authority: CertificateAuthority, settings: ControlPlaneSettings
    ) -> None:
        self._api = api
        self._settings = settings
        watched = (*WATCHED, Watched(_FAULT, _FAULT_PATH, f"metadata.name={names.FAULT_CONFIG_MAP}"))
        self._store = ObjectStore(watched, self._on_change)
        self._problems: asyncio.Queue[Mapping[str, str]] = asyncio.Queue()
        self._subscriptions = Subscriptions(
            authority, self._check_settled, on_problem=self._problems.put_nowait
        )
        self._counts = WindowedCounts(settings.window_s)
        self._must_compile = asyncio.Event()
        self._compiled = False
        self._hooks: MeshHooks = DefaultHooks()
        # The fault in the ConfigMap, in the last compilation, and in force at every connected workload.
        self._fault = self._compiled_fault = self._active_fault = ""
        self._fault_problem = ""
        self._fault_activated = asyncio.Event()
        self._addresses: tuple[object, dict[str, Workload]] = (None, {})
        self._inventory: tuple[tuple[int, ...], Inventory] | None = None
        self._sidecar = SidecarTemplate(
            settings.image, authority.trust_bundle, own_traffic=settings.own_traffic
        )

    def control_api(self) -> web.Application:
        """The application for sidecars and the API server's webhooks."""
        return ControlApi(
            TokenAuthenticator(self._api),
            self._subscriptions,
            self._sidecar,
            peer=self._peer,
            record=self._record,
            rejected=self._publish_rejection,
            health=self._health,
            converted=lambda item, source: self._hooks.converted(item, source),
        ).application()

    def metrics_api(self, proxy: FrontProxy) -> web.Application:
        """The application of the aggregated metrics API."""
        return MetricsApi(self._api, proxy, self.metrics_snapshot, lambda: self._hooks).application()

    async def run(self) -> None:
        """Follows the cluster until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._store.follow(self._api))
            group.create_task(self._compile())
            group.create_task(self._announce_fault())
            group.create_task(self._observe())
            group.create_task(self._announce_problems())

    def _on_change(self, key: str) -> None:
        if key == _FAULT:
            self._load_fault()
        if key not in _NOT_COMPILED or not self._compiled:
            self._must_compile.set()

    def _load_fault(self) -> None:
        wanted = self._store.of(_FAULT)
        fault = str((wanted[0].get("data") or {}).get("fault", "")) if wanted else ""
        if fault == self._fault:
            return
        try:
            self._hooks = load(fault)
        except (ImportError, KeyError) as error:
            self._fault_problem = f"no fault {fault!r}: {error!r}"
            _LOG.error("%s", self._fault_problem)
            return
        self._fault, self._fault_problem = fault, ""
        _LOG.info("fault: %s", fault or "none")

    async def _compile(self) -> None:
        while True:
            await self._must_compile.wait()
            await asyncio.sleep(_DEBOUNCE_S)
            self._must_compile.clear()
            if self._store.synced:
                fault = self._fault
                await self._subscriptions.update(self._store.snapshot(), self._hooks)
                self._compiled, self._compiled_fault = True, fault
                self._check_settled()

    def _check_settled(self) -> None:
        if self._compiled_fault == self._fault and self._is_settled():
            self._active_fault = self._compiled_fault
            self._fault_activated.set()

    def _is_settled(self) -> bool:
        return not self._must_compile.is_set() and self._subscriptions.is_settled()

    async def _announce_fault(self) -> None:
        """Annotates the ConfigMap that requests a fault with the fault in force."""
        while True:
            await self._fault_activated.wait()
            self._fault_activated.clear()
            config_map = self._store.get(_FAULT, names.NAMESPACE, names.FAULT_CONFIG_MAP)
            if config_map is None:
                continue
            annotations = config_map["metadata"].get("annotations") or {}
            if annotations.get(names.ACTIVE_FAULT_ANNOTATION) == self._active_fault:
                continue
            body = {"metadata": {"annotations": {names.ACTIVE_FAULT_ANNOTATION: self._active_fault}}}
            path = f"{_FAULT_PATH}/{names.FAULT_CONFIG_MAP}"
            try:
                await self._api.request("PATCH", path, body, content_type="application/merge-patch+json")
            except ApiError as error:
                _LOG.warning("cannot write the fault in force: %s", error)

    def _record(self, entries: list[tuple[Stream, RequestCounts, float]]) -> None:
        for stream, tally, age_s in entries:
            self._counts.record(stream, tally, age_s)

    async def _observe(self) -> None:
        """Calls the hook `observe` at a fixed rate, independent of the number of sidecars that report."""
        while True:
            await asyncio.sleep(_OBSERVED_EVERY_S)
            if self._hooks.observe(self._counts, settled=self._is_settled()):
                self._must_compile.set()

    def _peer(self, address: str) -> Workload | None:
        pods = self._store.of("pods")
        if self._addresses[0] is not pods:
            found = {
                str(entry["ip"]): Workload(namespace_of(pod), name_of(pod))
                for pod in pods
                if not pod["spec"].get("hostNetwork")
                and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
                for entry in pod.get("status", {}).get("podIPs", ())
            }
            self._addresses = (pods, found)
        return self._addresses[1].get(address)

    def metrics_snapshot(self) -> MetricsSnapshot:
        """The request counts and objects of this moment."""
        objects = {plural: self._store.of(plural) for plural in KINDS}
        identity = tuple(id(each) for each in objects.values())
        if self._inventory is None or self._inventory[0] != identity:
            self._inventory = (identity, Inventory(objects))
        totals, window_s = self._counts.totals(), self._counts.window_s
        metrics_snapshot = MetricsSnapshot(self._inventory[1], totals, window_s, datetime.now(UTC))
        return self._hooks.metrics_snapshot(metrics_snapshot, self._counts)

    async def _publish_rejection(self, workload: Workload, reason: str) -> None:
        pod = {"apiVersion": "v1", "kind": "Pod", "namespace": workload.namespace, "name": workload.name}
        await self._publish(pod, "ConfigurationRejected", reason)

    async def _announce_problems(self) -> None:
        """Publishes each problem as an Event on its object."""
        while True:
            problem = await self._problems.get()
            kind = kind_of(problem["kind"])
            if kind is None:
                continue
            about = {"apiVersion": kind.api_version, **problem}
            message = about.pop("message")
            await self._publish(about, "Misconfigured", message)

    async def _publish(self, about: Mapping[str, str], reason: str, message: str) -> None:
        try:
            await self._api.request(
                "POST",
                f"/api/v1/namespaces/{about['namespace']}/events",
                warning(about, reason, message, datetime.now(UTC)),
            )
        except ApiError as error:
            _LOG.warning("cannot publish an event: %s", error)

    def _health(self) -> tuple[bool, dict[str, Any]]:
        document = {
            "synced": self._store.synced,
            "fault": self._active_fault,
            "faultProblem": self._fault_problem,
            "notServed": sorted(self._store.not_served),
            "windowSeconds": self._settings.window_s,
            "workloads": len(self._subscriptions.subscribers),
            "settled": self._is_settled(),
        }
        return self._store.synced, document
