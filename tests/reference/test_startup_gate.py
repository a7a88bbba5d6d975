from __future__ import annotations

import os
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from smi_reference_mesh.sidecar import startup_gate


def waiting(directory: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(startup_gate.wait_command(str(directory)))


def opening(directory: Path) -> threading.Thread:
    thread = threading.Thread(target=startup_gate.release, args=(str(directory),), daemon=True)
    thread.start()
    return thread


def test_a_reader_continues_when_the_gate_opens_and_not_before(tmp_path: Path) -> None:
    startup_gate.make(str(tmp_path))
    waits = waiting(tmp_path)
    with pytest.raises(subprocess.TimeoutExpired):
        waits.wait(0.2)
    opened = opening(tmp_path)
    assert waits.wait(5) == 0
    opened.join(5)


def test_the_gate_may_open_before_there_is_a_reader(tmp_path: Path) -> None:
    startup_gate.make(str(tmp_path))
    opened = opening(tmp_path)
    assert waiting(tmp_path).wait(5) == 0
    opened.join(5)
    assert not opened.is_alive()


def test_an_existing_gate_stays_and_blocks_the_next_reader(tmp_path: Path) -> None:
    startup_gate.make(str(tmp_path))
    opened = opening(tmp_path)
    assert waiting(tmp_path).wait(5) == 0
    opened.join(5)
    startup_gate.make(str(tmp_path))
    again = waiting(tmp_path)
    with pytest.raises(subprocess.TimeoutExpired):
        again.wait(0.2)
    # SIGTERM instead of SIGKILL, so that its child `cat` ends too.
    again.terminate()
    again.wait(5)


def test_any_user_may_wait_and_open(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        startup_gate.make(str(tmp_path))
    finally:
        os.umask(before)
    mode = (tmp_path / startup_gate.GATE).stat().st_mode
    assert stat.S_ISFIFO(mode)
    assert stat.S_IMODE(mode) == 0o666


def test_without_a_gate_waiting_fails_and_opening_is_a_no_op(tmp_path: Path) -> None:
    assert waiting(tmp_path).wait(5) != 0
    startup_gate.release(str(tmp_path))


def test_waiting_has_a_time_limit() -> None:
    command, seconds, *_ = startup_gate.wait_command("/run")
    assert command == "timeout"
    assert float(seconds) <= 60
