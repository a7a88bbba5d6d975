"""Aggregated APIs, which pods serve: the availability of APIServices, and requests forwarded to them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Mapping

from multidict import CIMultiDict

from conformance.clusters.embedded.api.api_errors import StatusError
from conformance.clusters.embedded.api.auth import User
from conformance.clusters.embedded.api.object_store import Object, Store, WatchEvent
from conformance.clusters.embedded.api.service_client import SLICES, Reply, ServiceClient

API_SERVICES = "apiservices.apiregistration.k8s.io"
PROXY_NAME = "front-proxy-client"
"""The common name of this server's client certificate towards aggregated APIs."""
_CHECK_S = 5.0
_RETRY_S = 0.1
_CHECK_EVERY_S = 5.0


def front_proxy(ca: str) -> dict[str, str]:
    """The data of the ConfigMap by which aggregated APIs authenticate this server."""
    return {
        "client-ca-file": ca,
        "requestheader-allowed-names": f'["{PROXY_NAME}"]',
        "requestheader-client-ca-file": ca,
        "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
        "requestheader-group-headers": '["X-Remote-Group"]',
        "requestheader-username-headers": '["X-Remote-User"]',
    }


class Aggregation:
    """Forwards requests, and maintains the Available condition of every APIService."""

    def __init__(self, store: Store, service_client: ServiceClient) -> None:
        self._store = store
        self._service_client = service_client
        self._woken = asyncio.Event()
        store.subscribe(self._on_event)

    def served(self) -> list[tuple[str, str]]:
        """Group and version of each aggregated API."""
        return [(each["spec"]["group"], each["spec"]["version"]) for each in self._services()]

    def find(self, group: str, version: str) -> Object | None:
        """The APIService of a group and version that a pod serves, if any."""
        for each in self._services():
            if (each["spec"]["group"], each["spec"]["version"]) == (group, version):
                return each
        return None

    def _services(self) -> list[Object]:
        return [each for each in self._store.list(API_SERVICES) if each["spec"].get("service")]

    async def forward(
        self, api_service: Object, user: User, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> Reply:
        """Forward a user's request to the pod that serves the API. Raises StatusError (503)."""
        spec = api_service["spec"]
        service = spec["service"]
        ca = base64.b64decode(spec["caBundle"]).decode() if spec.get("caBundle") else None
        named: list[tuple[str, str]] = [("X-Remote-User", user.name)]
        named += [("X-Remote-Group", group) for group in user.groups]
        for key, values in user.extra.items():
            named += [(f"X-Remote-Extra-{key.replace('/', '%2F')}", value) for value in values]
        kept = [(key, headers[key]) for key in ("Accept", "Content-Type") if key in headers]
        return await self._service_client.request(
            method,
            (service["namespace"], service["name"], service.get("port", 443)),
            path,
            ca=ca,
            body=body or None,
            headers=CIMultiDict([*named, *kept]),
            as_proxy=True,
        )

    def _on_event(self, event: WatchEvent) -> None:
        if event.key in (API_SERVICES, SLICES):
            self._woken.set()

    async def run(self) -> None:
        """Check APIServices until cancelled."""
        while True:
            self._woken.clear()
            healthy = await self._check_all()
            # Not wait_for: in Python 3.11 it loses a cancellation that coincides with completion.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CHECK_EVERY_S if healthy else _RETRY_S):
                    await self._woken.wait()

    async def _check_all(self) -> bool:
        answers = [await self._check(each) for each in self._services()]
        return all(answers)

    async def _check(self, api_service: Object) -> bool:
        spec = api_service["spec"]
        path = f"/apis/{spec['group']}/{spec['version']}"
        try:
            async with asyncio.timeout(_CHECK_S):
                user = User("system:kube-aggregator")
                reply = await self.forward(api_service, user, "GET", path, {}, b"")
            problem = "" if reply.status == 200 else f"{path} answers {reply.status}"
        except (StatusError, TimeoutError, KeyError, TypeError, ValueError, OSError) as error:
            # An invalid APIService is unavailable, but must not affect the others.
            problem = str(error) if isinstance(error, StatusError) else f"no answer: {error!r}"
        self._note(api_service, problem)
        return not problem

    def _note(self, api_service: Object, problem: str) -> None:
        condition = {
            "type": "Available",
            "status": "False" if problem else "True",
            "reason": "FailedDiscoveryCheck" if problem else "Passed",
            "message": problem or "all checks passed",
        }
        latest = self._store.find(API_SERVICES, "", api_service["metadata"]["name"])
        if latest is not None:
            self._store.replace(API_SERVICES, {**latest, "status": {"conditions": [condition]}})
