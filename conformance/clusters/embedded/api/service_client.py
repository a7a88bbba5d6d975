"""The API server's requests to services in its cluster: webhooks, aggregated APIs, service proxy."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from conformance.clusters.embedded.api.api_errors import StatusError
from conformance.clusters.embedded.api.object_store import Object, Store
from smi_reference_mesh.kube.certificates import KeyPair

SLICES = "endpointslices.discovery.k8s.io"
SERVICE_LABEL = "kubernetes.io/service-name"
_TIMEOUT_S = 30.0
_NOT_FORWARDED = {"connection", "content-length", "transfer-encoding", "content-encoding", "date", "server"}


def ready_endpoints(slices: Iterable[Object], service: str, port: str) -> Iterator[tuple[str, int]]:
    """Addresses and port numbers of a service's ready endpoints, from the slices of its namespace."""
    for item in slices:
        if (item["metadata"].get("labels") or {}).get(SERVICE_LABEL) != service:
            continue
        numbers = [int(each["port"]) for each in item.get("ports") or () if (each.get("name") or "") == port]
        for endpoint in item.get("endpoints") or ():
            # As in Kubernetes, an endpoint of unknown readiness counts as ready.
            if numbers and (endpoint.get("conditions") or {}).get("ready", True):
                yield endpoint["addresses"][0], numbers[0]


@dataclass(frozen=True, slots=True)
class Reply:
    """A service's answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class ServiceClient:
    """A shared HTTP client. It connects to a service's pods: there is no other way out."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._session: aiohttp.ClientSession | None = None
        self._trust: dict[tuple[str, str], ssl.SSLContext] = {}
        self.proxy: KeyPair | None = None
        """The client certificate of the front proxy."""

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def endpoint(self, namespace: str, name: str, port: int | str) -> tuple[str, int]:
        """Address and port of a ready pod of a service's port (number, name). Raises StatusError (503)."""
        service = self._store.get("services", namespace, name)
        ports = service["spec"].get("ports") or ()
        named = next(
            (each.get("name") or "" for each in ports if port in (each["port"], each.get("name"))), None
        )
        if named is None:
            raise StatusError(503, f"service {namespace}/{name} has no port {port}")
        for place in ready_endpoints(self._store.list(SLICES, namespace), name, named):
            return place
        raise StatusError(503, f'no endpoints available for service "{name}"', "ServiceUnavailable")

    async def request(
        self,
        method: str,
        place: tuple[str, str, int | str],
        path: str,
        *,
        tls: bool = True,
        ca: str | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = _TIMEOUT_S,
        as_proxy: bool = False,
    ) -> Reply:
        """Send a request to the service (namespace, name, port). Without ``ca`` no certificate is verified.

        Raises StatusError (503) if no endpoint is ready or the connection fails.
        """
        namespace, name, port = place
        address, number = self.endpoint(namespace, name, port)
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        options: dict[str, Any] = {}
        if tls:
            options["ssl"] = self._context(ca, as_proxy=as_proxy)
            options["server_hostname"] = f"{name}.{namespace}.svc"
        url = f"{'https' if tls else 'http'}://{address}:{number}{path}"
        try:
            async with self._session.request(
                method, url, data=body, headers=headers, allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout_s), **options,
            ) as answer:  # fmt: skip
                kept = {
                    key: value for key, value in answer.headers.items() if key.lower() not in _NOT_FORWARDED
                }
                return Reply(answer.status, kept, await answer.read())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise StatusError(503, f"service {namespace}/{name}:{port}: {error!r}") from error

    def _context(self, ca: str | None, *, as_proxy: bool) -> ssl.SSLContext:
        key = (ca or "", "proxy" if as_proxy else "")
        if key not in self._trust:
            context = ssl.create_default_context(cadata=ca)
            if ca is None:
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            if as_proxy and self.proxy is not None:
                load_key_pair(context, self.proxy)
            self._trust[key] = context
        return self._trust[key]


def load_key_pair(context: ssl.SSLContext, pair: KeyPair) -> None:
    """Load a certificate and its key into a context; the ssl module reads them only from files."""
    with tempfile.TemporaryDirectory() as folder:
        paths: list[str] = []
        for name, text in (("crt", pair.certificate), ("key", pair.key)):
            path = Path(folder) / name
            path.touch(mode=0o600)
            path.write_text(text)
            paths.append(str(path))
        context.load_cert_chain(paths[0], paths[1])
