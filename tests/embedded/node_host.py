"""A stand-in for the embedded cluster's program: only the node, controlled over its socket.

Each connection carries a JSON line as request and another as answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import sys
from collections.abc import Mapping
from typing import Any

from conformance.clusters.embedded.interface import EndpointAddress, HostName, NodeError, ServiceRule
from conformance.clusters.embedded.node.machine import Machine


class Shelf:
    """The tests' ConfigMaps and Secrets by namespace and name; tokens are numbered."""

    def __init__(self) -> None:
        self.config_maps: dict[str, dict[str, str]] = {}
        self.tokens = 0

    def config_map(self, namespace: str, name: str) -> Mapping[str, bytes]:
        if f"{namespace}/{name}" not in self.config_maps:
            raise NodeError(f'configmap "{name}" not found')
        return {key: value.encode() for key, value in self.config_maps[f"{namespace}/{name}"].items()}

    def secret(self, namespace: str, name: str) -> Mapping[str, bytes]:
        return {"user": b"alice", "password": f"of {namespace}/{name}".encode()}

    def token(self, pod: Mapping[str, Any], audience: str | None, lifetime_s: int) -> str:
        self.tokens += 1
        account = pod["spec"].get("serviceAccountName", "default")
        return f"{account} for {audience}, number {self.tokens}, good for {lifetime_s} s"

    def ca(self) -> str:
        return "no certificate"


def place(name: str) -> tuple[str, str]:
    """Namespace and name."""
    namespace, _, pod = name.partition("/")
    return namespace, pod


class Host:
    """The node and the last status of each pod."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._shelf = Shelf()
        self.machine = Machine()
        self._statuses: dict[str, tuple[int, dict[str, Any]]] = {}
        self._changed = asyncio.Condition()
        self._telling: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = json.loads(await reader.readline())
        try:
            assert request.pop("token") == self._token
            answer = {"answer": await getattr(self, f"do_{request.pop('do')}")(**request)}
        except NodeError as error:
            answer = {"error": str(error)}
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()
        writer.close()

    async def do_put(self, name: str, content: dict[str, str]) -> None:
        self._shelf.config_maps[name] = content

    async def do_run(self, pod: dict[str, Any]) -> None:
        name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        self._statuses[name] = (0, {})
        self.machine.run_pod(pod, self._shelf, lambda status: self._note(name, status))

    def _note(self, name: str, status: dict[str, Any]) -> None:
        self._statuses[name] = (self._statuses[name][0] + 1, status)
        task = asyncio.create_task(self._tell())
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def do_status(self, name: str, after: int) -> tuple[int, dict[str, Any]]:
        async with self._changed:
            await self._changed.wait_for(lambda: self._statuses[name][0] > after)
            return self._statuses[name]

    async def do_stop(self, name: str, grace: float) -> float:
        begun = asyncio.get_running_loop().time()
        await self.machine.stop_pod(*place(name), grace)
        return asyncio.get_running_loop().time() - begun

    async def do_execute(
        self, name: str, container: str, command: list[str], stdin: str, kill: bool = False
    ) -> tuple[int, str, str]:
        process = await self.machine.execute(*place(name), container, command)
        process.stdin.write(stdin.encode())
        if kill:
            process.kill()
        else:
            process.stdin.write_eof()
        out, err = await asyncio.gather(process.stdout.read(), process.stderr.read())
        process.stdin.close()
        return await process.wait(), out.decode(), err.decode()

    async def do_logs(self, name: str, container: str, tail: int | None) -> str:
        return self.machine.logs(*place(name), container, tail=tail)

    async def do_route(self, services: list[list[Any]], names: list[list[str]]) -> None:
        rules = [
            ServiceRule(address, "TCP", port, tuple(EndpointAddress(*each) for each in backends))
            for address, port, backends in services
        ]
        await self.machine.route(rules, [HostName(*each) for each in names])

    async def do_run_here(self, command: list[str]) -> str:
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        out, _ = await process.communicate()
        return out.decode()

    async def do_close(self) -> None:
        await self.machine.close()


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket-fd", type=int)
    parser.add_argument("--token-fd", type=int)
    parser.add_argument("--fail", action="store_true")
    options = parser.parse_args()
    if options.fail:
        sys.exit("this is what went wrong")
    with open(options.token_fd) as file:
        host = Host(file.read())
    await host.machine.start()
    listening = socket.socket(fileno=options.socket_fd)
    server = await asyncio.start_server(host.serve, sock=listening, limit=2**20)
    print(json.dumps({"pid": os.getpid(), "user": os.geteuid(), "files": os.environ["TMPDIR"]}), flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
