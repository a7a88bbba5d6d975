"""Authentication of sidecars: pod-bound ServiceAccount tokens, reviewed by the API server."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

from smi_reference_mesh.kube.client import KubeClient
from smi_reference_mesh.kube.objects import Workload
from smi_reference_mesh.names import AUDIENCE

_CACHED_S = 60.0
_POD_NAME = "authentication.kubernetes.io/pod-name"
_ACCOUNT_PREFIX = "system:serviceaccount:"


class TokenAuthenticator:
    """Finds the pod of a token; caches results for a minute, by the token's hash."""

    def __init__(self, api: KubeClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._clock = clock
        self._known: dict[str, tuple[float, Workload]] = {}

    async def workload(self, token: str) -> Workload | None:
        """The pod of a token for this mesh; None for any other token. Raises ApiError."""
        digest = hashlib.sha256(token.encode()).hexdigest()
        now = self._clock()
        self._known = {key: entry for key, entry in self._known.items() if now < entry[0]}
        if digest in self._known:
            return self._known[digest][1]
        workload = await self._review(token)
        if workload is not None:
            self._known[digest] = (now + _CACHED_S, workload)
        return workload

    async def _review(self, token: str) -> Workload | None:
        answer = await self._api.request(
            "POST",
            "/apis/authentication.k8s.io/v1/tokenreviews",
            {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenReview",
                "spec": {"token": token, "audiences": [AUDIENCE]},
            },
        )
        status = answer.get("status", {})
        user = status.get("user", {})
        name = str(user.get("username", ""))
        pods = user.get("extra", {}).get(_POD_NAME, [])
        if not status.get("authenticated") or not name.startswith(_ACCOUNT_PREFIX) or not pods:
            return None
        # An API server without support for audiences omits them from the status (TokenReview's
        # documentation).
        if AUDIENCE not in status.get("audiences", []):
            return None
        return Workload(name.removeprefix(_ACCOUNT_PREFIX).partition(":")[0], str(pods[0]))
