"""A small asynchronous client of the Kubernetes API server: plain JSON in, plain JSON out.

The control plane keeps some twenty watches open while it serves webhooks; with aiohttp this needs one thread,
no generated models, and no seconds of imports at start.
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TIMEOUT = aiohttp.ClientTimeout(total=30)
# The server ends a watch after five minutes; one silent for longer has lost its connection.
WATCH_S = 300
_WATCH_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=WATCH_S + 30)
_LONGEST_LINE = 16 * 1024 * 1024


class ApiError(Exception):
    """The API server refused a request (`status` is its HTTP status) or is unreachable (`status` 0)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}" if status else message)
        self.status = status


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """The address of the API server and the credentials for it."""

    url: str
    token_file: Path | None = None
    trust: ssl.SSLContext | None = None

    @classmethod
    def in_cluster(cls) -> ClientConfig:
        """The configuration of a pod's environment. Raises KeyError or OSError outside of a cluster."""
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        host = f"[{host}]" if ":" in host else host
        trust = ssl.create_default_context(cafile=str(_ACCOUNT / "ca.crt"))
        return cls(f"https://{host}:{port}", _ACCOUNT / "token", trust)


class KubeClient:
    """A session with the API server; must be closed."""

    def __init__(self, access: ClientConfig) -> None:
        self._access = access
        connector = aiohttp.TCPConnector(ssl=access.trust if access.trust is not None else True, limit=0)
        self._session = aiohttp.ClientSession(connector=connector, read_bufsize=1024 * 1024)

    async def close(self) -> None:
        await self._session.close()

    def _headers(self, content_type: str = "application/json") -> dict[str, str]:
        headers = {"Accept": "application/json", "Content-Type": content_type}
        if self._access.token_file is not None:
            # Read each time: the kubelet renews it in place.
            headers["Authorization"] = f"Bearer {self._access.token_file.read_text().strip()}"
        return headers

    async def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Any:
        """The JSON response. Raises ApiError."""
        try:
            async with self._session.request(
                method,
                self._access.url + path,
                params=query,
                data=None if body is None else json.dumps(body),
                headers=self._headers(content_type),
                timeout=_TIMEOUT,
            ) as response:
                text = await response.text()
                if response.status >= 400:
                    raise ApiError(response.status, text[:500])
                return json.loads(text)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ApiError(0, f"{method} {path}: {error!r}") from error

    async def watch(self, path: str, query: Mapping[str, str]) -> AsyncIterator[Any]:
        """The events of a watch until the server ends it. Raises ApiError."""
        parameters = {**query, "watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": str(WATCH_S)}
        try:
            async with self._session.get(
                self._access.url + path, params=parameters, headers=self._headers(), timeout=_WATCH_TIMEOUT
            ) as response:
                if response.status >= 400:
                    raise ApiError(response.status, (await response.text())[:500])
                async for line in _lines(response.content):
                    yield json.loads(line)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ApiError(0, f"watch {path}: {error!r}") from error


async def _lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    # StreamReader limits lines to its buffer size; an object may be larger.
    rest = b""
    async for chunk in stream.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield line
        if len(rest) > _LONGEST_LINE:
            raise ValueError("an event without end")
