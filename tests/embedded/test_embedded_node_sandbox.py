"""The sandbox: invisible from outside, and removed with its starter."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from node_client import HOST, Node, fetched, pod, shell

import conformance
from conformance.clusters.embedded.node.sandbox import SandboxError, start

pytestmark = pytest.mark.usefixtures("can_start")

NOBODY = 65534
WITHIN_S = 10.0
RUNNER = """
import signal, sys
sys.path.insert(0, sys.argv[1])
# In a background job of a shell, tests and their children ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
from node_client import Node, pod, shell
node = Node.start()
left = node.run(pod("left", shell("setsid sleep 24680 & sleep 13579"))).ready()
try:
    # Printed inside the block: an interrupt can arrive before the next line.
    print("running", flush=True)
    sys.stdin.read()
except KeyboardInterrupt:
    left.says("true")
    print("the node goes on", flush=True)
"""
USABLE = """
import os, sys, conformance, pyroute2
assert os.access(sys.executable, os.X_OK) and sys.version_info[:2] == {version}
"""


def processes(mark: str) -> list[int]:
    """Processes of the machine with this text in their command line."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark.encode() in (directory / "cmdline").read_bytes():
                found.append(int(directory.name))
    return found


def await_end(pids: Sequence[int]) -> None:
    """Waits until none of these processes is left."""
    deadline = time.monotonic() + WITHIN_S
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(pid)
            try:
                assert select.select([descriptor], [], [], max(0, deadline - time.monotonic()))[0], pid
            finally:
                os.close(descriptor)


def outside() -> tuple[list[str], list[str], list[str]]:
    """Possible leftovers of a node on the machine: interfaces, mounts, temporary files."""
    return (
        sorted(
            path.name for path in Path("/sys/class/net").iterdir() if path.name.startswith(("pod", "smi"))
        ),
        [line for line in Path("/proc/self/mounts").read_text().splitlines() if "/node-" in line],
        sorted(str(path) for place in ("/tmp", "/dev/shm") for path in Path(place).glob("node-*")),
    )


@contextlib.contextmanager
def runner(python: str, *, prefix: Sequence[str] = (), path: str = "") -> Iterator[subprocess.Popen[str]]:
    """A process that runs a node and a pod."""
    here = str(Path(__file__).parent)
    with subprocess.Popen(
        [*prefix, python, "-c", RUNNER, here],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path or os.environ.get("PYTHONPATH", "")},
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        yield process


def test_the_node_is_alone_and_its_files_are_private() -> None:
    before = outside()
    node = Node.start()
    try:
        assert set(node.running.ready) == {"pid", "user", "files"}
        # The node is the second process of the sandbox.
        assert (node.running.ready["pid"], node.running.ready["user"]) == (2, 0)
        node.run(pod("one", shell("sleep 1000"))).ready()
        assert outside() == before
    finally:
        node.running.stop()
    assert outside() == before


def test_stopping_ends_everything_and_can_be_repeated() -> None:
    node = Node.start()
    node.run(pod("one", shell("sleep 11223"))).ready()
    inside = processes("sleep 11223") + processes("sleep\x0011223")
    assert inside
    node.running.stop()
    node.running.stop()
    assert not any(Path(f"/proc/{pid}").exists() for pid in inside)
    with pytest.raises(OSError, match="refused"):
        node.call("logs", name="here/one", container="main", tail=1)


def test_two_sandboxes_do_not_see_each_other() -> None:
    first, second = Node.start(), Node.start()
    try:
        one, other = first.run(pod("same")).ready(), second.run(pod("same")).ready()
        assert one.address == other.address
        one.says("touch", "/tmp/mark")
        assert other.execute("test", "-e", "/tmp/mark")[0] == 1
        first.running.stop()
        assert fetched(other, [f"{other.address}:8080"])[0][0].startswith("same")
    finally:
        first.running.stop()
        second.running.stop()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "terminated"])
def test_a_runner_that_ends_leaves_nothing_behind(number: signal.Signals) -> None:
    before = outside()
    with runner(sys.executable) as process:
        inside = [*processes("node_host.py"), *processes("24680"), *processes("13579")]
        assert len(inside) >= 5
        process.send_signal(number)
        process.wait(WITHIN_S)
        await_end(inside)
    assert outside() == before


def test_an_interrupt_at_the_terminal_reaches_the_runner_alone() -> None:
    with runner(sys.executable) as process:
        inside = processes("13579")
        # Like a terminal: to the whole foreground process group.
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout is not None
        assert process.stdout.readline() == "the node goes on\n"
        process.wait(WITHIN_S)
        await_end(inside)


def test_a_node_that_does_not_start_is_reported_with_its_last_output() -> None:
    with pytest.raises(SandboxError, match="did not start: it ended: this is what went wrong"):
        start([*HOST, "--fail"])
    assert processes("node_host.py") == []


def test_a_node_that_never_becomes_ready_is_ended() -> None:
    with pytest.raises(SandboxError, match=r"not ready after 0\.2 s"):
        start([sys.executable, "-S", "-c", "import time; time.sleep(12344)"], within_s=0.2)
    assert processes("12344") == []


def test_an_invalid_first_line_is_reported() -> None:
    with pytest.raises(SandboxError, match="did not start"):
        start([sys.executable, "-S", "-c", "print('hello'); import time; time.sleep(12345)"])
    assert processes("12345") == []


def test_an_ordinary_user_can_run_a_sandbox() -> None:
    if os.geteuid() != 0:
        pytest.skip("this is an ordinary user already: all other tests show it")
    if (setpriv := shutil.which("setpriv")) is None:
        pytest.skip("setpriv is not installed")
    prefix = [setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    python, path = interpreter_for(prefix)
    with runner(python, prefix=prefix, path=path) as process:
        inside = processes("13579")
        assert {Path(f"/proc/{pid}").stat().st_uid for pid in inside} == {NOBODY}
        process.kill()
        await_end(inside)


def interpreter_for(prefix: Sequence[str]) -> tuple[str, str]:
    """A Python that the user may run, with its search path. Skips without one."""
    packages = [path for path in sys.path if path.endswith("site-packages")]
    path = os.pathsep.join([str(Path(conformance.__file__).parents[1]), *packages])
    for python in (sys.executable, "/usr/bin/python3"):
        command = [*prefix, python, "-c", USABLE.format(version=tuple(sys.version_info[:2]))]
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            done = subprocess.run(command, env=environment, capture_output=True, check=False)
        except OSError:
            continue
        if done.returncode == 0:
            return python, path
    pytest.skip("no interpreter with the packages that another user may run")
