"""`python -m smi_reference_mesh.control_plane`: the control plane of the reference mesh.

One event loop: watches keep the store, a change compiles anew for all connected workloads, two servers answer
sidecars, the API server's webhook calls, and the aggregated metrics API.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from smi_reference_mesh import names
from smi_reference_mesh.aggregation import FrontProxy, MetricsApi
from smi_reference_mesh.callers import Callers
from smi_reference_mesh.compiler import compile as compile_configuration
from smi_reference_mesh.distribution import Distribution
from smi_reference_mesh.events import kind_of, warning
from smi_reference_mesh.hooks import DefaultHooks, MeshHooks
from smi_reference_mesh.injector import Sidecar
from smi_reference_mesh.kube.certificates import CertificateAuthority, KeyPair
from smi_reference_mesh.kube.client import ApiError, ClientConfig, KubeClient
from smi_reference_mesh.kube.objects import Workload, name_of, namespace_of
from smi_reference_mesh.kube.snapshot import ClusterSnapshot
from smi_reference_mesh.metrics.request_counts import RequestCounts
from smi_reference_mesh.metrics.traffic_metrics import KINDS, Inventory, MetricsSnapshot
from smi_reference_mesh.metrics.windowed_counts import Stream, WindowedCounts
from smi_reference_mesh.service import Service
from smi_reference_mesh.sidecar.own_traffic import OwnTraffic, own_traffic
from smi_reference_mesh.spoiling import load
from smi_reference_mesh.store import OWNERS, WATCHED, Store, Watched

_LOG = logging.getLogger("smi_reference_mesh.control_plane")
# Changes come in groups (a manifest of several objects, a pod with its endpoints): one compilation for each.
_DEBOUNCE_S = 0.02
_OBSERVED_EVERY_S = 0.05
_FAULT = "fault"
_NOT_COMPILED = frozenset(kind.key for kind in OWNERS)
_FAULT_PATH = f"/api/v1/namespaces/{names.NAMESPACE}/configmaps"
_AUTHENTICATION = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the deployment tells."""

    secrets: Path
    image: str
    window_s: float
    own_traffic: OwnTraffic = "uid"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Reads the settings. Raises KeyError where one without default is missing, ValueError."""
        return cls(
            Path(environment.get("SMI_REFERENCE_SECRETS", "/etc/smi-reference")),
            environment["SMI_REFERENCE_IMAGE"],
            float(environment.get("SMI_REFERENCE_WINDOW_S", "10")),
            own_traffic(environment),
        )


class ControlPlane:
    """The parts, wired."""

    def __init__(self, api: KubeClient, authority: CertificateAuthority, settings: Settings) -> None:
        self._api = api
        self._settings = settings
        watched = (*WATCHED, Watched(_FAULT, _FAULT_PATH, f"metadata.name={names.FAULT_CONFIG_MAP}"))
        self._store = Store(watched, self._on_change)
        self._problems: asyncio.Queue[Mapping[str, str]] = asyncio.Queue()
        self._distribution = Distribution(authority, self._on_settled, found=self._problems.put_nowait)
        self._counts = WindowedCounts(settings.window_s)
        self._dirty = asyncio.Event()
        self._compiled = False
        self._hooks: MeshHooks = DefaultHooks()
        # Wanted by the ConfigMap, compiled with, and in force at every connected workload.
        self._fault = self._compiled_fault = self._active_fault = ""
        self._fault_problem = ""
        self._active = asyncio.Event()
        self._addresses: tuple[object, dict[str, Workload]] = (None, {})
        self._inventory: tuple[tuple[int, ...], Inventory] | None = None
        self._sidecar = Sidecar(settings.image, authority.trust_bundle, own_traffic=settings.own_traffic)

    def service(self) -> web.Application:
        """The application for sidecars and the webhook."""
        return Service(
            Callers(self._api),
            self._distribution,
            self._sidecar,
            peer=self._peer,
            record=self._record,
            rejected=self._publish_rejection,
            health=self._health,
            converted=lambda item, source: self._hooks.converted(item, source),
        ).application()

    def metrics_api(self, proxy: FrontProxy) -> web.Application:
        """The application of the aggregated API."""
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
            self._dirty.set()

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
            await self._dirty.wait()
            await asyncio.sleep(_DEBOUNCE_S)
            self._dirty.clear()
            if self._store.synced:
                fault = self._fault
                await self._distribution.update(self._store.snapshot(), self._hooks)
                self._compiled, self._compiled_fault = True, fault
                self._on_settled()

    def _on_settled(self) -> None:
        if self._compiled_fault == self._fault and self._is_settled():
            self._active_fault = self._compiled_fault
            self._active.set()

    def _is_settled(self) -> bool:
        return not self._dirty.is_set() and self._distribution.is_settled()

    async def _announce_fault(self) -> None:
        """Writes the fault in force at the ConfigMap that asked for it."""
        while True:
            await self._active.wait()
            self._active.clear()
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
        """Has the fault look at the mesh; how often does not hang on how many sidecars report."""
        while True:
            await asyncio.sleep(_OBSERVED_EVERY_S)
            if self._hooks.observe(self._counts, settled=self._is_settled()):
                self._dirty.set()

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
        """Figures and objects of this moment."""
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
        """Publishes what an object asks for and does not get, at that object."""
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
            "workloads": len(self._distribution.seats),
            "settled": self._is_settled(),
        }
        return self._store.synced, document


async def _front_proxy(api: KubeClient) -> FrontProxy:
    """The API server's own description of its proxy. Raises ApiError, KeyError, ValueError."""
    return FrontProxy.from_config_map((await api.request("GET", _AUTHENTICATION))["data"])


async def _serve(application: web.Application, port: int, tls: ssl.SSLContext) -> web.AppRunner:
    runner = web.AppRunner(
        application, access_log=None, keepalive_timeout=3600, shutdown_timeout=1, handler_cancellation=True
    )
    await runner.setup()
    await web.TCPSite(runner, port=port, ssl_context=tls).start()
    return runner


async def main() -> None:
    """Runs until SIGTERM."""
    settings = Settings.from_environment(os.environ)
    certificate, key = settings.secrets / "tls.crt", settings.secrets / "tls.key"
    authority = CertificateAuthority(
        KeyPair((settings.secrets / "ca.crt").read_text(), (settings.secrets / "ca.key").read_text())
    )
    api = KubeClient(ClientConfig.in_cluster())
    plane = ControlPlane(api, authority, settings)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    # The compiler imports late; what it lacks is to show now, and the first sidecar is not to wait.
    compile_configuration(ClusterSnapshot(), Workload("", ""))
    proxy = await _front_proxy(api)
    runners = [
        await _serve(plane.service(), names.CONTROL_PORT, tls),
        await _serve(plane.metrics_api(proxy), names.METRICS_API_PORT, proxy.tls(str(certificate), str(key))),
    ]
    work = asyncio.create_task(plane.run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        _LOG.info("stopping")
    finally:
        for runner in runners:
            await runner.cleanup()
        await api.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(main())
