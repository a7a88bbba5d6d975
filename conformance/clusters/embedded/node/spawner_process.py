"""`python -m conformance.clusters.embedded.node.spawner_process`: starts containers on the node's request.

A separate process, small and without threads, so that forking is cheap and the child has nothing to undo:
a container costs two milliseconds here instead of the fifteen of an interpreter's start. Requests arrive on
a socket (standard input), one JSON document per packet, with descriptors. Standard library only.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
from array import array
from collections.abc import Callable, Mapping, Sequence
from select import POLLIN, poll
from typing import Any, NoReturn

from conformance.clusters.embedded.node import kernel

PACKET = 512 * 1024
"""Maximum bytes of a request, with all arguments and environment."""
_MOST_DESCRIPTORS = 8
_OLD_ROOT = "/.old"
_NOT_STARTED = 126
_SCRATCH = ("/tmp", "/dev/shm")  # noqa: S108 - of the container alone
_NO_IPV6 = "/proc/sys/net/ipv6/conf/all/disable_ipv6"

Request = Mapping[str, Any]


class SpawnerProcess:
    """Answers requests until the node closes the socket."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._alive: dict[int, int] = {}
        self._own = {
            kind: os.open(f"/proc/self/ns/{name}", os.O_RDONLY | os.O_CLOEXEC)
            for kind, name in (
                (kernel.CLONE_NEWNET, "net"),
                (kernel.CLONE_NEWUTS, "uts"),
                (kernel.CLONE_NEWPID, "pid"),
            )
        }

    def serve(self, woken: int) -> None:
        """Serve; the descriptor ``woken`` becomes readable when a child has ended."""
        watched = poll()
        watched.register(self._control, POLLIN)
        watched.register(woken, POLLIN)
        while True:
            for descriptor, _ in watched.poll():
                if descriptor == woken:
                    os.read(woken, 4096)
                    self._reap()
                elif not self._answer():
                    return

    def _answer(self) -> bool:
        packet, descriptors = receive(self._control)
        if not packet:
            return False
        request = json.loads(packet)
        try:
            match request["do"]:
                case "network":
                    self._network(request)
                case "start":
                    self._start(request, descriptors)
                case "enter":
                    self._enter(request, descriptors)
                case "kill":
                    self._kill(request)
        except OSError as error:
            self._send({"id": request["id"], "error": str(error.strerror)})
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def _send(self, document: Request, descriptors: Sequence[int] = ()) -> None:
        socket.send_fds(self._control, [json.dumps(document).encode()], list(descriptors))

    def _network(self, request: Request) -> None:
        """Create the shared namespaces of a pod; they live as long as their descriptors."""
        made: list[int] = []
        try:
            kernel.unshare(kernel.CLONE_NEWNET | kernel.CLONE_NEWUTS)
            socket.sethostname(request["hostname"])
            if os.path.exists(_NO_IPV6):
                with open(_NO_IPV6, "w") as file:
                    file.write("1")
            made += [os.open(f"/proc/self/ns/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in ("net", "uts")]
            made.append(socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM).detach())
        finally:
            for kind in (kernel.CLONE_NEWNET, kernel.CLONE_NEWUTS):
                kernel.enter(self._own[kind], kind)
        self._send({"id": request["id"]}, made)
        for descriptor in made:
            os.close(descriptor)

    def _start(self, request: Request, descriptors: Sequence[int]) -> None:
        network, name, *streams = descriptors
        # The next fork is the first process of a new namespace: its death ends all its descendants.
        kernel.unshare(kernel.CLONE_NEWPID)
        try:
            pid = os.fork()
            if pid == 0:
                _run(request, streams, lambda: _build(request, network, name))
        finally:
            kernel.enter(self._own[kernel.CLONE_NEWPID], kernel.CLONE_NEWPID)
        self._alive[request["id"]] = pid

    def _enter(self, request: Request, descriptors: Sequence[int]) -> None:
        first = self._alive.get(request["container"])
        if first is None:
            raise OSError(errno.ESRCH, "the container is not running")
        entered = [
            (os.open(f"/proc/{first}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC), kind)
            for name, kind in (
                ("net", kernel.CLONE_NEWNET),
                ("uts", kernel.CLONE_NEWUTS),
                ("mnt", kernel.CLONE_NEWNS),
                ("pid", kernel.CLONE_NEWPID),
            )
        ]
        *others, (processes, _) = entered
        try:
            kernel.enter(processes, kernel.CLONE_NEWPID)
            pid = os.fork()
            if pid == 0:
                _run(request, descriptors, lambda: _join(others))
        finally:
            kernel.enter(self._own[kernel.CLONE_NEWPID], kernel.CLONE_NEWPID)
            for descriptor, _ in entered:
                os.close(descriptor)
        self._alive[request["id"]] = pid

    def _kill(self, request: Request) -> None:
        # Only `_reap` reaps, so a process id in the table cannot have been reused.
        if (pid := self._alive.get(request["id"])) is not None:
            os.kill(pid, request["signal"])

    def _reap(self) -> None:
        while self._alive:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            ended = next(key for key, each in self._alive.items() if each == pid)
            del self._alive[ended]
            self._send({"id": ended, "ended": code if code >= 0 else 128 - code})


def receive(control: socket.socket) -> tuple[bytes, list[int]]:
    """A packet and its descriptors; empty when the peer has closed the socket."""
    # The standard library's recv_fds ignores its flags; without this flag descriptors leak into commands.
    room = socket.CMSG_SPACE(_MOST_DESCRIPTORS * array("i").itemsize)
    packet, ancillary, _, _ = control.recvmsg(PACKET, room, socket.MSG_CMSG_CLOEXEC)
    descriptors = array("i")
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
    return packet, list(descriptors)


def _run(request: Request, streams: Sequence[int], prepare: Callable[[], None]) -> NoReturn:
    """In the child: prepare and exec the command; errors go to the last stream."""
    try:
        os.setsid()
        prepare()
        os.chdir(request["directory"])
        for target, stream in enumerate(streams[:3]):
            os.dup2(stream, target)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        os.umask(0o022)
        kernel.set_no_new_privileges()
        kernel.die_with_parent()
        arguments = request["arguments"]
        os.execvpe(arguments[0], arguments, request["environment"])  # noqa: S606 - arguments, no shell
    except OSError as error:
        os.write(streams[3], f"{request['arguments'][0]}: {error.strerror}".encode())
    os._exit(_NOT_STARTED)


def _join(namespaces: Sequence[tuple[int, int]]) -> None:
    for descriptor, kind in namespaces:
        kernel.enter(descriptor, kind)


def _build(request: Request, network: int, name: int) -> None:
    """Build the container's root from the node's template and the requested mounts."""
    kernel.enter(network, kernel.CLONE_NEWNET)
    kernel.enter(name, kernel.CLONE_NEWUTS)
    kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWIPC)
    root = request["root"]
    kernel.bind(root, root)
    os.chdir(root)
    kernel.pivot_root(".", f".{_OLD_ROOT}")
    os.chdir("/")
    kernel.mount("proc", "/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
    for scratch in _SCRATCH:
        kernel.mount("tmpfs", scratch, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=1777")
    for source, target, read_only in request["mounts"]:
        _mount(_OLD_ROOT + source, target, read_only)
    kernel.unmount(_OLD_ROOT)
    kernel.make_read_only("/", recursive=False)


def _mount(source: str, target: str, read_only: bool) -> None:
    try:
        if os.path.isdir(source):
            os.makedirs(target, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.close(os.open(target, os.O_CREAT | os.O_RDONLY, 0o644))
    except OSError as error:
        raise OSError(error.errno, f"cannot make the mount point {target}: {error.strerror}") from error
    kernel.bind(source, target)
    if read_only:
        kernel.make_read_only(target, recursive=True)


def main() -> None:
    kernel.die_with_parent()
    control = socket.socket(fileno=0)
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    SpawnerProcess(control).serve(read)


if __name__ == "__main__":
    main()
