"""Commands in containers, frame by frame."""

from __future__ import annotations

import json
import os
import select
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest
import websocket
from api_objects import PODS, is_ready, pod
from fake_node import TOKEN, Served

STDIN, STDOUT, STDERR, STATUS = b"\0", b"\1", b"\2", b"\3"
V4, V5 = "v4.channel.k8s.io", "v5.channel.k8s.io"
OPCODE_TEXT = websocket.ABNF.OPCODE_TEXT


@contextmanager
def channel(
    served: Served, *command: str, protocol: str = V4, container: str = "main"
) -> Iterator[websocket.WebSocket]:
    query = urlencode(
        [("container", container), ("stdin", "1"), *(("command", part) for part in command)], doseq=True
    )
    url = f"{served.url.replace('http', 'ws', 1)}{PODS}/one/exec?{query}"
    header = {"Authorization": f"Bearer {TOKEN}"}
    connection = websocket.create_connection(url, 10, header=header, subprotocols=[protocol])
    try:
        yield connection
    finally:
        connection.shutdown()


def frames(connection: websocket.WebSocket) -> dict[bytes, bytes]:
    """All output until the end, by channel."""
    found: dict[bytes, bytes] = {}
    while data := connection.recv():
        assert isinstance(data, bytes)
        found[data[:1]] = found.get(data[:1], b"") + data[1:]
    return found


@pytest.fixture(autouse=True)
def one(served: Served) -> None:
    served.cluster.apply([pod("one")])
    served.has(f"{PODS}/one", is_ready)


def python(code: str) -> tuple[str, ...]:
    return ("python3", "-I", "-S", "-c", code)


def test_output_errors_and_success_come_on_separate_channels(served: Served) -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr)"
    with channel(served, *python(code)) as connection:
        found = frames(connection)
    assert (found[STDOUT], found[STDERR]) == (b"out\n", b"err\n")
    assert json.loads(found[STATUS])["status"] == "Success"


def test_an_exit_status_is_reported_as_a_cause(served: Served) -> None:
    with channel(served, *python("raise SystemExit(7)")) as connection:
        status = json.loads(frames(connection)[STATUS])
    assert (status["status"], status["reason"]) == ("Failure", "NonZeroExitCode")
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "7"}]


def test_input_may_be_text_or_bytes(served: Served) -> None:
    code = "import sys; print(sys.stdin.buffer.read(6).hex())"
    with channel(served, *python(code)) as connection:
        connection.send("\0gr\u00fc", OPCODE_TEXT)
        connection.send_binary(STDIN + b"\xff\0")
        assert frames(connection)[STDOUT] == "gr\u00fc".encode().hex().encode() + b"ff00\n"


def test_the_end_of_the_input_can_be_sent_in_the_fifth_version(served: Served) -> None:
    code = "import sys; print(len(sys.stdin.read()))"
    with channel(served, *python(code), protocol=V5) as connection:
        assert connection.getsubprotocol() == V5
        connection.send_binary(STDIN + b"abc")
        connection.send_binary(b"\xff\0")
        found = frames(connection)
    assert (found[STDOUT], json.loads(found[STATUS])["status"]) == (b"3\n", "Success")


def test_a_command_that_stops_reading_continues(served: Served, tmp_path: Path) -> None:
    told = tmp_path / "told"
    os.mkfifo(told)
    code = (
        f"import os; os.close(0); print('deaf', flush=True); open({str(told)!r}).read(); raise SystemExit(3)"
    )
    with channel(served, *python(code)) as connection:
        assert connection.recv() == STDOUT + b"deaf\n"
        for _ in range(3):
            connection.send_binary(STDIN + b"x" * 70_000)
        connection.ping()
        # The answer comes after everything before it has been handled.
        assert connection.recv_data_frame(control_frame=True)[0] == websocket.ABNF.OPCODE_PONG
        told.write_text("")
        status = json.loads(frames(connection)[STATUS])
    assert status["details"]["causes"][0]["message"] == "3"


def test_bytes_come_back_as_they_are(served: Served) -> None:
    code = "import sys; sys.stdout.buffer.write(bytes(range(256)) * 1000)"
    with channel(served, *python(code)) as connection:
        assert frames(connection)[STDOUT] == bytes(range(256)) * 1000


def test_a_command_ends_with_its_client(served: Served) -> None:
    code = "import os, sys; print(os.getpid(), flush=True); sys.stdin.read()"
    with channel(served, *python(code)) as connection:
        first = connection.recv()
        assert isinstance(first, bytes)
        process = os.pidfd_open(int(first[1:]))
    try:
        assert select.select([process], [], [], 5)[0]
    finally:
        os.close(process)


@pytest.mark.parametrize(
    ("query", "status"),
    [("container=main&command=true&tty=1", 501), ("container=main", 400)],
    ids=["terminal", "no command"],
)
def test_an_invalid_request_is_refused_before_anything_runs(served: Served, query: str, status: int) -> None:
    url = f"{served.url.replace('http', 'ws', 1)}{PODS}/one/exec?{query}"
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        websocket.create_connection(url, 10, header={"Authorization": f"Bearer {TOKEN}"})
    assert caught.value.status_code == status


def test_a_request_that_opens_no_websocket_is_refused(served: Served) -> None:
    answer = served.cluster.request("GET", f"{PODS}/one/exec?command=true")
    assert (answer.status, answer.body["message"]) == (400, "Upgrade request required")
