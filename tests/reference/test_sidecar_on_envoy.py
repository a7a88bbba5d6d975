"""The agent as a process, with a real Envoy, and a scripted control plane."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from fake_api_server import eventually
from loopback_ports import free_port

from smi_reference_mesh.compiler.access_log import ACCESS_LOG_FORMAT
from smi_reference_mesh.kube.certificates import CertificateAuthority
from smi_reference_mesh.sidecar import startup_gate
from smi_reference_mesh.sidecar.config_source import agent_source

TYPES = "type.googleapis.com/envoy"
LISTENER = f"{TYPES}.config.listener.v3.Listener"
ROUTES = f"{TYPES}.config.route.v3.RouteConfiguration"
CLUSTER = f"{TYPES}.config.cluster.v3.Cluster"
SOURCE = {"api_config_source": agent_source(), "resource_api_version": "V3"}


def response(version: str, kind: str, *resources: Mapping[str, Any]) -> str:
    typed = [{"@type": kind, **resource} for resource in resources]
    return json.dumps({"version_info": version, "type_url": kind, "resources": typed})


def routes(version: str, action: Mapping[str, Any]) -> str:
    host = {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, **action}]}
    return response(version, ROUTES, {"name": "r", "virtual_hosts": [host], "validate_clusters": False})


def answering(version: str, status: int) -> str:
    return routes(version, {"direct_response": {"status": status}})


def listener(version: str, port: int, **more: Any) -> str:
    log = {
        "name": "log",
        "typed_config": {
            "@type": f"{TYPES}.extensions.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": {"text_format_source": {"inline_string": ACCESS_LOG_FORMAT["in"]}},
        },
    }
    router = {"@type": f"{TYPES}.extensions.filters.http.router.v3.Router"}
    manager = {
        "@type": f"{TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "access_log": [log],
        "rds": {"route_config_name": "r", "config_source": SOURCE},
        "http_filters": [{"name": "router", "typed_config": router}],
        **more,
    }
    filters = [{"name": "http", "typed_config": manager}]
    chains = [{"filters": filters}]
    return response(version, LISTENER, {"name": "l", "address": here(port), "filter_chains": chains})


def clusters(version: str, **ports: list[int]) -> str:
    """Clusters by name, each with the ports where its endpoints listen."""
    return response(
        version,
        CLUSTER,
        *(
            {
                "name": name,
                "type": "STATIC",
                "connect_timeout": "1s",
                "load_assignment": {
                    "cluster_name": name,
                    "endpoints": [{"lb_endpoints": [{"endpoint": {"address": here(port)}} for port in each]}],
                },
            }
            for name, each in ports.items()
        ),
    )


def here(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


class ControlPlane:
    """Sends the configurations given to `offer`, and records the agent's reports."""

    def __init__(self) -> None:
        self.authority = CertificateAuthority(CertificateAuthority.create(datetime.now(UTC)))
        self.port = free_port()
        self.statuses: list[Any] = []
        self.intervals: list[Any] = []
        self._files: dict[str, str] = {}
        self._version = 0
        self._changed = asyncio.Event()
        self._runner: web.AppRunner | None = None

    def offer(self, files: Mapping[str, str]) -> str:
        self._files |= files
        self._version += 1
        self._changed.set()
        return str(self._version)

    async def _config(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer secret"
        while request.query["have"] == str(self._version) or not self._version:
            self._changed.clear()
            await self._changed.wait()
        return web.json_response(
            {
                "version": str(self._version),
                "base": "",
                "identity": "i",
                "responses": self._files,
                "removed": [],
            }
        )

    async def _status(self, request: web.Request) -> web.Response:
        self.statuses.append(await request.json())
        return web.json_response({})

    async def _metrics(self, request: web.Request) -> web.Response:
        self.intervals += (await request.json())["intervals"]
        return web.json_response({})

    async def start(self, directory: Path) -> None:
        serving = self.authority.serving(["localhost"], datetime.now(UTC))
        (directory / "tls.crt").write_text(serving.certificate)
        (directory / "tls.key").write_text(serving.key)
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(directory / "tls.crt", directory / "tls.key")
        application = web.Application()
        application.add_routes(
            [
                web.get("/v1/config", self._config),
                web.post("/v1/status", self._status),
                web.post("/v1/metrics", self._metrics),
            ]
        )
        self._runner = web.AppRunner(application, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "localhost", self.port, ssl_context=tls).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def report_on(self, version: str) -> Any:
        """The agent's report on a version."""
        return await eventually(
            lambda: next((status for status in self.statuses if status["version"] == version), None), 15
        )


class Sidecar:
    """A running agent with its control plane."""

    def __init__(self, plane: ControlPlane, process: asyncio.subprocess.Process, directory: Path) -> None:
        self.plane = plane
        self.process = process
        self.directory = directory
        self.port = free_port()
        self.readiness_port = 0

    async def get(self, session: aiohttp.ClientSession) -> int:
        async with session.get(f"http://127.0.0.1:{self.port}/") as answer:
            return answer.status

    async def is_ready(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(f"http://127.0.0.1:{self.readiness_port}/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientConnectionError:
            return False

    async def envoys(self) -> list[int]:
        """The processes with this sidecar's configuration."""
        marker = str(self.directory / "bootstrap.json").encode()
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if marker in path.read_bytes():
                    found.append(int(path.parent.name))
            except OSError:
                continue
        return found


@asynccontextmanager
async def sidecar(tmp_path: Path) -> AsyncIterator[Sidecar]:
    plane = ControlPlane()
    await plane.start(tmp_path)
    (tmp_path / "token").write_text("secret\n")
    readiness_port = free_port()
    environment = {
        **os.environ,
        "SMI_REFERENCE_NODE": "shop/server",
        "SMI_REFERENCE_CONTROL_PLANE": f"https://localhost:{plane.port}",
        "SMI_REFERENCE_TRUST": plane.authority.trust_bundle,
        "SMI_REFERENCE_TOKEN": str(tmp_path / "token"),
        "SMI_REFERENCE_DIRECTORY": str(tmp_path / "run"),
        "SMI_REFERENCE_ADMIN_PORT": str(free_port()),
        "SMI_REFERENCE_READINESS_PORT": str(readiness_port),
    }
    (tmp_path / "run").mkdir()
    startup_gate.make(str(tmp_path / "run"))
    with (tmp_path / "agent.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "smi_reference_mesh.sidecar", env=environment, stderr=log
        )
    made = Sidecar(plane, process, tmp_path / "run")
    made.readiness_port = readiness_port
    try:
        yield made
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(10):
            await process.wait()
        await plane.stop()


def start(made: Sidecar, status: int = 201) -> str:
    return made.plane.offer(
        {
            "cds.json": clusters("1"),
            "lds.json": listener("1", made.port),
            "rds/r.json": answering("1", status),
        }
    )


def test_a_sidecar_becomes_ready_and_follows_changes_on_open_connections(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with sidecar(tmp_path) as made, aiohttp.ClientSession() as session:
            assert not await made.is_ready(session)
            waiting = await asyncio.create_subprocess_exec(*startup_gate.wait_command(str(made.directory)))
            assert (await made.plane.report_on(start(made)))["accepted"] is True
            async with asyncio.timeout(5):
                assert await waiting.wait() == 0
            assert await made.is_ready(session)
            assert await made.get(session) == 201
            version = made.plane.offer({"rds/r.json": answering("2", 202)})
            await made.plane.report_on(version)
            assert await made.get(session) == 202

    asyncio.run(scenario())


def test_a_refused_configuration_is_reported_and_the_old_stays(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with sidecar(tmp_path) as made, aiohttp.ClientSession() as session:
            await made.plane.report_on(start(made))
            version = made.plane.offer({"lds.json": listener("2", made.port, stat_prefix="")})
            status = await made.plane.report_on(version)
            assert status["accepted"] is False
            assert "StatPrefix" in status["error"]
            assert await made.get(session) == 201
            version = made.plane.offer({"lds.json": listener("3", made.port)})
            assert (await made.plane.report_on(version))["accepted"] is True

    asyncio.run(scenario())


def test_a_sidecar_with_refused_routes_becomes_ready(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with sidecar(tmp_path) as made, aiohttp.ClientSession() as session:
            nowhere = {"weighted_clusters": {"clusters": [{"name": "none", "weight": 0}]}}
            version = made.plane.offer(
                {
                    "cds.json": clusters("1"),
                    "lds.json": listener("1", made.port),
                    "rds/r.json": routes("1", {"route": nowhere}),
                }
            )
            status = await made.plane.report_on(version)
            assert status["accepted"] is False
            assert "rds/r.json" in status["error"]
            assert await made.is_ready(session)
            version = made.plane.offer({"rds/r.json": answering("2", 202)})
            assert (await made.plane.report_on(version))["accepted"] is True
            assert await made.get(session) == 202

    asyncio.run(scenario())


def test_traffic_continues_without_the_control_plane_which_is_found_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with sidecar(tmp_path) as made, aiohttp.ClientSession() as session:
            await made.plane.report_on(start(made))
            await made.plane.stop()
            assert await made.get(session) == 201
            await made.plane.start(tmp_path)
            await made.plane.report_on(made.plane.offer({"rds/r.json": answering("2", 202)}))
            assert await made.get(session) == 202

    asyncio.run(scenario())


def test_no_request_is_lost_while_clusters_come_and_go(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with sidecar(tmp_path) as made, aiohttp.ClientSession() as session, backend() as port:
            await made.plane.report_on(start(made))
            statuses: list[int] = []
            stopping = asyncio.Event()

            async def load() -> None:
                while not stopping.is_set():
                    statuses.append(await made.get(session))

            working = [asyncio.create_task(load()) for _ in range(3)]
            for number in range(8):
                name = f"c{number}"
                version = made.plane.offer(
                    {
                        "cds.json": clusters(str(number + 2), **{name: [port]}),
                        "rds/r.json": routes(str(number + 2), {"route": {"cluster": name}}),
                    }
                )
                assert (await made.plane.report_on(version))["accepted"] is True
            stopping.set()
            await asyncio.gather(*working)
            assert set(statuses) == {200, 201}

    asyncio.run(scenario())


def test_no_request_and_no_connection_is_lost_while_endpoints_change(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            sidecar(tmp_path) as made,
            aiohttp.ClientSession() as session,
            backend() as one,
            backend() as other,
        ):
            raw_port = free_port()
            proxy = {
                "@type": f"{TYPES}.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                "stat_prefix": "out",
                "cluster": "c",
            }
            chains = [{"filters": [{"name": "tcp", "typed_config": proxy}]}]
            raw = {"@type": LISTENER, "name": "raw", "address": here(raw_port), "filter_chains": chains}
            listeners = json.loads(listener("1", made.port))
            listeners["resources"].append(raw)
            version = made.plane.offer(
                {
                    "cds.json": clusters("1", c=[one]),
                    "lds.json": json.dumps(listeners),
                    "rds/r.json": routes("1", {"route": {"cluster": "c"}}),
                }
            )
            assert (await made.plane.report_on(version))["accepted"] is True
            reader, writer = await asyncio.open_connection("127.0.0.1", raw_port)
            statuses: list[int] = []
            stopping = asyncio.Event()

            async def load() -> None:
                while not stopping.is_set():
                    statuses.append(await made.get(session))

            async def ask_again() -> bytes:
                writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                head = await reader.readuntil(b"\r\n\r\n")
                return head.split(b" ")[1] + await reader.readexactly(2)

            working = [asyncio.create_task(load()) for _ in range(3)]
            for number in range(8):
                ports = [[other], [one, other], [one]][number % 3]
                version = made.plane.offer({"cds.json": clusters(str(number + 2), c=ports)})
                assert (await made.plane.report_on(version))["accepted"] is True
                assert await ask_again() == b"200ok"
            stopping.set()
            await asyncio.gather(*working)
            assert set(statuses) == {200}
            writer.close()

    asyncio.run(scenario())


def test_requests_are_reported(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with sidecar(tmp_path) as made, aiohttp.ClientSession() as session:
            await made.plane.report_on(start(made, status=503))
            for _ in range(5):
                await made.get(session)
            tallies = await eventually(
                lambda: [
                    tally
                    for interval in made.plane.intervals
                    for tally in interval["tallies"]
                    if sum(each["failures"] for each in interval["tallies"])
                ]
            )
            assert {(tally["direction"], tally["peer"]) for tally in tallies} == {("in", "127.0.0.1")}

    asyncio.run(scenario())


def test_the_agent_ends_when_envoy_does(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with sidecar(tmp_path) as made:
            await made.plane.report_on(start(made))
            (envoy,) = await made.envoys()
            os.kill(envoy, signal.SIGKILL)
            async with asyncio.timeout(5):
                assert await made.process.wait() == 1

    asyncio.run(scenario())


def test_the_agent_stops_envoy_on_a_signal(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with sidecar(tmp_path) as made:
            await made.plane.report_on(start(made))
            made.process.terminate()
            async with asyncio.timeout(3):
                assert await made.process.wait() == 0
            assert await made.envoys() == []

    asyncio.run(scenario())


@asynccontextmanager
async def backend() -> AsyncIterator[int]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    application = web.Application()
    application.router.add_get("/", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield port
    finally:
        await runner.cleanup()
