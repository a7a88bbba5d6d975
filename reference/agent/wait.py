"""`python -m reference.agent.wait`: returns as soon as the agent beside it is ready.

Runs once in every pod while the application waits to start, hence a module of its own with few imports.
"""

from __future__ import annotations

import os
import socket
import sys
import time

from reference.names import READINESS_PORT

AT_MOST_S = 60.0
WAIT_PATH = "/wait"
"""Answered when the agent is ready, or when that took too long."""
_POLL_S = 0.05


def becomes_ready(port: int, within_s: float) -> bool:
    """Whether the agent is ready, which it answers when it is; false at once where it does not listen yet."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=within_s) as connection:
            connection.sendall(f"GET {WAIT_PATH} HTTP/1.0\r\n\r\n".encode())
            return b" 200 " in connection.makefile("rb").readline()
    except OSError:
        return False


def main() -> int:
    """0 once the agent is ready, 1 after a minute."""
    port = int(os.environ.get("SMI_REFERENCE_READINESS_PORT", READINESS_PORT))
    deadline = time.monotonic() + AT_MOST_S
    while (left := deadline - time.monotonic()) > 0:
        if becomes_ready(port, left):
            return 0
        time.sleep(_POLL_S)
    return 1


if __name__ == "__main__":
    sys.exit(main())
