"""Envoy as a child process, and its admin interface."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

# How long connections of removed filter chains may continue.
_DRAIN_S = 10
_FLUSH_MS = 100
_STOP_S = 2.0
_POLL_S = 0.01
_STATS = r"^(listener_manager\.listener_create_(success|failure)|cluster_manager\.warming_clusters)$"
_REJECTED = re.compile(r"rejected|error|invalid|fail", re.IGNORECASE)


class EnvoyGone(Exception):
    """Envoy's process ended, or its admin interface does not respond."""


class Envoy:
    """The child process. `on_line` gets the lines of its access log (its standard output)."""

    def __init__(
        self, binary: Path, bootstrap: Mapping[str, Any], directory: Path, on_line: Callable[[bytes], object]
    ) -> None:
        configuration = directory / "bootstrap.json"
        configuration.write_text(json.dumps(bootstrap))
        self._admin_port = int(bootstrap["admin"]["address"]["socket_address"]["port_value"])
        self._complaints: deque[tuple[float, str]] = deque(maxlen=50)
        self.process = subprocess.Popen(  # noqa: S603 - the binary is named by the image, not by input
            [
                str(binary), "--config-path", str(configuration), "--concurrency", "1",
                "--disable-hot-restart", "--file-flush-interval-msec", str(_FLUSH_MS),
                "--drain-time-s", str(_DRAIN_S), "--drain-strategy", "immediate", "--log-level", "warning",
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        for read in (lambda: self._read_output(on_line), self._read_errors):
            threading.Thread(target=read, daemon=True).start()

    def _read_output(self, on_line: Callable[[bytes], object]) -> None:
        assert self.process.stdout is not None  # noqa: S101 - for the type checker
        for line in self.process.stdout:
            on_line(line)

    def _read_errors(self) -> None:
        assert self.process.stderr is not None  # noqa: S101 - for the type checker
        for line in self.process.stderr:
            text = line.decode(errors="replace").rstrip()
            sys.stderr.write(text + "\n")
            if _REJECTED.search(text):
                self._complaints.append((time.monotonic(), text))

    def complaints_since(self, moment: float) -> str:
        """Envoy's errors on its standard error since a moment of the monotonic clock."""
        return "\n".join(text for when, text in list(self._complaints) if when >= moment)

    def stats(self) -> dict[str, str]:
        """The statistics of listeners and clusters in force. Raises EnvoyGone."""
        if self.process.poll() is not None:
            raise EnvoyGone(f"Envoy ended with status {self.process.returncode}")
        connection = http.client.HTTPConnection("127.0.0.1", self._admin_port, timeout=10)
        try:
            connection.request("GET", f"/stats?filter={quote(_STATS)}")
            lines = connection.getresponse().read().decode().splitlines()
        except (OSError, http.client.HTTPException) as error:
            raise EnvoyGone(f"Envoy's admin interface does not respond: {error!r}") from error
        finally:
            connection.close()
        return {name: value.strip('"') for name, _, value in (line.partition(": ") for line in lines)}

    def stop(self) -> None:
        """Ends the process: SIGTERM, then SIGKILL after two seconds."""
        self.process.terminate()
        try:
            self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
