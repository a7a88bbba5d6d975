"""Readiness probes, against servers on the loopback interface."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from conformance.clusters.embedded.interface import NodeError
from conformance.clusters.embedded.node.readiness_probes import readiness, succeeds
from smi_reference_mesh.kube.certificates import CertificateAuthority

HERE = "127.0.0.1"


async def nothing(command: Sequence[str]) -> int:
    raise NodeError("the container is not running")


def asked(answer: bytes | None, probe: dict[str, Any], tls: ssl.SSLContext | None = None) -> tuple[bool, str]:
    """Whether a probe of a server with this answer succeeds, and the server's request.

    The port of the server stands for "web" in the probe. Without an answer it keeps silent.
    """
    heard: list[bytes] = []
    serving: list[asyncio.Task[Any] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(asyncio.current_task())
        heard.append(await reader.read(4096))
        if answer is not None:
            writer.write(answer)
            await writer.drain()
        else:
            await reader.read()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def ask() -> bool:
        server = await asyncio.start_server(serve, HERE, 0, ssl=tls)
        port = server.sockets[0].getsockname()[1]
        container = {"ports": [{"name": "other", "containerPort": 1}, {"name": "web", "containerPort": port}]}
        async with server:
            well: bool = await succeeds({"timeoutSeconds": 0.5, **probe}, container, HERE, nothing)
            await asyncio.gather(*filter(None, serving))
        return well

    return asyncio.run(ask()), b"".join(heard).decode("latin-1")


@pytest.mark.parametrize(
    ("answer", "well"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.0 302 Found\r\n\r\n", True),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", False),
        (b"HTTP/1.1 503 No\r\n\r\n", False),
        (b"SSH-2.0\r\n", False),
        (b"HTTP/1.1\r\n", False),
        (b"", False),
        (None, False),
    ],
    ids=["ok", "redirected", "absent", "unable", "not HTTP", "no status", "closed", "silent"],
)
def test_http_succeeds_with_a_status_from_200_to_399(answer: bytes | None, well: bool) -> None:
    assert asked(answer, {"httpGet": {"port": "web"}})[0] is well


def test_path_and_headers_are_those_of_the_probe() -> None:
    headers = [{"name": "X-Who", "value": "kubelet"}]
    _, heard = asked(
        b"HTTP/1.1 200 OK\r\n\r\n", {"httpGet": {"port": "web", "path": "/ready?x", "httpHeaders": headers}}
    )
    assert heard.startswith("GET /ready?x HTTP/1.1\r\n")
    assert "X-Who: kubelet\r\n" in heard


def test_https_does_not_verify_the_certificate(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    serving = CertificateAuthority(CertificateAuthority.create(now)).serving(("elsewhere",), now)
    (tmp_path / "crt").write_text(serving.certificate)
    (tmp_path / "key").write_text(serving.key)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    probe = {"httpGet": {"port": "web", "scheme": "HTTPS"}}
    assert asked(b"HTTP/1.1 200 OK\r\n\r\n", probe, tls)[0] is True


def test_a_connection_is_enough_for_tcp() -> None:
    assert asked(b"", {"tcpSocket": {"port": "web"}})[0] is True
    assert asked(b"", {"tcpSocket": {"port": 1}})[0] is False


def test_a_command_that_cannot_be_run_is_a_failure() -> None:
    assert asked(b"", {"exec": {"command": ["true"]}})[0] is False


def told(results: Iterable[int], **probe: int) -> list[bool]:
    """The reported readiness of a probe command with these exit codes, in order."""
    codes = list(results)

    async def ask() -> list[bool]:
        stopping = asyncio.Event()

        async def execute(command: Sequence[str]) -> int:
            code = codes.pop(0)
            if not codes:
                stopping.set()
            return code

        described: dict[str, Any] = {"exec": {"command": ["x"]}, "periodSeconds": 0.001, **probe}
        return [each async for each in readiness(described, {}, HERE, execute, stopping)]

    return asyncio.run(ask())


def test_a_container_is_ready_until_enough_failures_in_a_row() -> None:
    assert told([1, 0, 1, 1, 0, 1, 1, 1, 0]) == [True, False, True]


def test_thresholds_are_those_of_the_probe() -> None:
    assert told([0, 1, 0, 0, 1], successThreshold=2, failureThreshold=1) == [True, False]


def test_a_container_that_never_succeeds_is_never_reported() -> None:
    assert told([1, 1, 1, 1, 1]) == []
