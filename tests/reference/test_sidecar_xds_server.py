from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from smi_reference_mesh.sidecar.envoy_process import EnvoyGone
from smi_reference_mesh.sidecar.xds_server import AckStatus, DiscoveryRequestReader, XdsServer


class Subscription:
    """A subscription to the server, like Envoy's."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, url: str, have: str = "", *resources: str) -> tuple[int, Any]:
        body = json.dumps(
            {"version_info": have, "node": {"id": "x"}, "resource_names": list(resources)}
        ).encode()
        head = f"POST {url} HTTP/1.1\r\nhost: agent\r\nContent-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        length = int(answer.lower().partition("content-length:")[2].split("\r\n")[0])
        content = await self._reader.readexactly(length)
        return int(answer.split(" ")[1]), json.loads(content) if content else None

    def close(self) -> None:
        self._writer.close()


async def subscribe(path: Path) -> Subscription:
    return Subscription(*await asyncio.open_unix_connection(str(path)))


def text(version: str) -> str:
    return json.dumps({"version_info": version, "resources": []})


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    return tmp_path / "s"


def test_a_published_response_is_sent_at_once_and_then_only_new_versions(socket: Path) -> None:
    xds_server = XdsServer(socket)
    xds_server.publish({"rds/a_b.json": text("1")})

    async def scenario() -> None:
        subscription = await subscribe(socket)
        assert await subscription.ask("/v3/discovery:routes", "", "a|b") == (200, json.loads(text("1")))
        waiting = asyncio.create_task(subscription.ask("/v3/discovery:routes", "1", "a|b"))
        xds_server.publish({"rds/other.json": text("9")})
        done, _ = await asyncio.wait((waiting,), timeout=0.05)
        assert not done
        xds_server.publish({"rds/a_b.json": text("2")})
        assert (await waiting)[1]["version_info"] == "2"
        subscription.close()

    asyncio.run(scenario())


def test_a_request_waits_for_an_unpublished_response(socket: Path) -> None:
    xds_server = XdsServer(socket)

    async def scenario() -> None:
        subscription = await subscribe(socket)
        waiting = asyncio.create_task(subscription.ask("/v3/discovery:clusters"))
        done, _ = await asyncio.wait((waiting,), timeout=0.05)
        assert not done
        xds_server.publish({"cds.json": text("1")})
        assert (await waiting)[0] == 200
        subscription.close()

    asyncio.run(scenario())


def test_a_refused_version_is_not_repeated_in_a_busy_loop(socket: Path) -> None:
    xds_server = XdsServer(socket)
    xds_server.publish({"lds.json": text("2")})

    async def scenario() -> None:
        subscription = await subscribe(socket)
        started = time.monotonic()
        for _ in range(3):
            assert (await subscription.ask("/v3/discovery:listeners", "1"))[1]["version_info"] == "2"
        assert time.monotonic() - started > 0.3
        subscription.close()

    asyncio.run(scenario())


def test_a_disconnected_subscription_does_not_affect_others(socket: Path) -> None:
    xds_server = XdsServer(socket)

    async def scenario() -> None:
        first, second = await subscribe(socket), await subscribe(socket)
        abandoned = asyncio.create_task(first.ask("/v3/discovery:clusters"))
        waiting = asyncio.create_task(second.ask("/v3/discovery:clusters"))
        await asyncio.wait((abandoned, waiting), timeout=0.05)
        first.close()
        with pytest.raises(asyncio.IncompleteReadError):
            await abandoned
        xds_server.publish({"cds.json": text("1")})
        assert (await waiting)[0] == 200
        second.close()

    asyncio.run(scenario())


def test_an_unknown_kind_of_resource_is_not_found(socket: Path) -> None:
    XdsServer(socket)

    async def scenario() -> None:
        subscription = await subscribe(socket)
        assert (await subscription.ask("/v3/discovery:runtime", "", "x"))[0] == 404
        subscription.close()

    asyncio.run(scenario())


def taken(xds_server: XdsServer, *roots: str, within_s: float = 5.0, **versions: str) -> AckStatus:
    return xds_server.ack_status(
        {f"{name}.json": version for name, version in versions.items()}, roots, within_s
    )


def test_the_next_request_acknowledges_or_refuses_a_response(socket: Path) -> None:
    xds_server = XdsServer(socket)
    xds_server.publish({"lds.json": text("1")})

    async def scenario() -> None:
        subscription = await subscribe(socket)
        await subscription.ask("/v3/discovery:listeners")
        assert taken(xds_server, lds="1", within_s=0.05) == AckStatus((), ("lds.json",))
        waiting = asyncio.create_task(subscription.ask("/v3/discovery:listeners", "1"))
        assert await asyncio.to_thread(taken, xds_server, lds="1") == AckStatus((), ())
        xds_server.publish({"lds.json": text("2")})
        await waiting
        # Still at version 1, so it refused 2.
        waiting = asyncio.create_task(subscription.ask("/v3/discovery:listeners", "1"))
        assert await asyncio.to_thread(taken, xds_server, lds="2") == AckStatus(("lds.json",), ())
        await waiting
        xds_server.publish({"lds.json": text("3")})
        assert taken(xds_server, lds="3", within_s=0.05) == AckStatus((), ("lds.json",))
        await subscription.ask("/v3/discovery:listeners", "1")
        waiting = asyncio.create_task(subscription.ask("/v3/discovery:listeners", "3"))
        assert await asyncio.to_thread(taken, xds_server, lds="3") == AckStatus((), ())
        xds_server.publish({"lds.json": text("2")})
        await waiting
        waiting = asyncio.create_task(subscription.ask("/v3/discovery:listeners", "2"))
        assert await asyncio.to_thread(taken, xds_server, lds="2") == AckStatus((), ())
        waiting.cancel()
        subscription.close()

    asyncio.run(scenario())


def test_the_first_request_of_a_second_subscription_refuses_nothing(socket: Path) -> None:
    xds_server = XdsServer(socket)
    xds_server.publish({"rds/a.json": text("1")})

    async def scenario() -> None:
        old, new = await subscribe(socket), await subscribe(socket)
        await old.ask("/v3/discovery:routes", "", "a")
        waiting = asyncio.create_task(old.ask("/v3/discovery:routes", "1", "a"))
        assert await asyncio.to_thread(taken, xds_server, **{"rds/a": "1"}) == AckStatus((), ())
        await new.ask("/v3/discovery:routes", "", "a")
        assert taken(xds_server, **{"rds/a": "1"}, within_s=0.05).refused == ()
        waiting.cancel()
        old.close()
        new.close()

    asyncio.run(scenario())


def test_references_of_a_refused_root_are_not_awaited(socket: Path) -> None:
    xds_server = XdsServer(socket)
    xds_server.publish({"lds.json": text("2"), "rds/r.json": text("1")})

    async def scenario() -> None:
        subscription = await subscribe(socket)
        await subscription.ask("/v3/discovery:listeners", "1")
        started = time.monotonic()
        waiting = asyncio.create_task(subscription.ask("/v3/discovery:listeners", "1"))
        wanted = {"lds": "2", "rds/r": "1"}
        found = await asyncio.to_thread(taken, xds_server, "lds.json", **wanted)
        assert found == AckStatus(("lds.json",), ("rds/r.json",))
        assert time.monotonic() - started < 2
        await waiting
        subscription.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("left", [True, False])
def test_a_republished_version_counts_as_acknowledged_while_subscribed(socket: Path, left: bool) -> None:
    xds_server = XdsServer(socket)
    xds_server.publish({"rds/a.json": text("1")})

    async def scenario() -> None:
        subscription = await subscribe(socket)
        await subscription.ask("/v3/discovery:routes", "", "a")
        waiting = asyncio.create_task(subscription.ask("/v3/discovery:routes", "1", "a"))
        assert await asyncio.to_thread(taken, xds_server, **{"rds/a": "1"}) == AckStatus((), ())
        xds_server.withdraw(["rds/a.json"])
        if left:
            subscription.close()
            with pytest.raises(asyncio.IncompleteReadError):
                await waiting
            async with asyncio.timeout(5):
                while not taken(xds_server, **{"rds/a": "1"}, within_s=0.01).pending:
                    await asyncio.sleep(0)
        xds_server.publish({"rds/a.json": text("1")})
        found = taken(xds_server, **{"rds/a": "1"}, within_s=0.05)
        assert found == AckStatus((), ("rds/a.json",) if left else ())
        waiting.cancel()
        subscription.close()

    asyncio.run(scenario())


def test_the_present_version_counts_as_acknowledged_after_another_was_refused(socket: Path) -> None:
    xds_server = XdsServer(socket)
    xds_server.publish({"lds.json": text("2")})

    async def scenario() -> None:
        subscription = await subscribe(socket)
        await subscription.ask("/v3/discovery:listeners", "1")
        # It refused 2; while the repeated response is held back, 1 is published again.
        waiting = asyncio.create_task(subscription.ask("/v3/discovery:listeners", "1"))
        assert (await asyncio.to_thread(taken, xds_server, lds="2")).refused == ("lds.json",)
        xds_server.publish({"lds.json": text("1")})
        done, _ = await asyncio.wait((waiting,), timeout=0.05)
        assert not done
        assert taken(xds_server, lds="1") == AckStatus((), ())
        waiting.cancel()
        subscription.close()

    asyncio.run(scenario())


def test_await_envoy_returns_after_the_first_request(socket: Path) -> None:
    xds_server = XdsServer(socket)
    with pytest.raises(EnvoyGone, match="asked for no configuration"):
        xds_server.await_envoy(0.05)

    async def scenario() -> None:
        subscription = await subscribe(socket)
        waiting = asyncio.create_task(subscription.ask("/v3/discovery:clusters"))
        await asyncio.to_thread(xds_server.await_envoy)
        waiting.cancel()
        subscription.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_a_request_is_parsed_without_its_node(separators: tuple[str, str]) -> None:
    bodies = DiscoveryRequestReader()

    def read(**body: Any) -> dict[str, Any]:
        return bodies.read(json.dumps(body, separators=separators))

    nodes = [{"id": "x", "extensions": [{"name": '"node":'}]}, {"id": "y"}, {"id": "y"}, {}]
    for number, node in enumerate(nodes):
        read_back = read(version_info=str(number), node=node, resource_names=[f"r{number}"])
        assert read_back == {"version_info": str(number), "resource_names": [f"r{number}"]}
    assert read(resource_names=["a"]) == {"resource_names": ["a"]}


@pytest.mark.parametrize("body", ["", "[]", '{"node":', '{"node":{"id":"x"}'])
def test_an_invalid_request_raises_value_error(body: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's own words
        DiscoveryRequestReader().read(body)
