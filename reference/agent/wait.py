"""`python -m reference.agent.wait`: returns as soon as the agent beside it is ready.

Runs once in every pod while the application waits to start, hence a module of its own with few imports.
"""

from __future__ import annotations

import os
import socket
import sys
import time

from reference.names import READINESS_PORT

_AT_MOST_S = 60.0
_POLL_S = 0.05


def is_ready(port: int) -> bool:
    """Whether the agent answers that it is ready."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"GET /ready HTTP/1.0\r\n\r\n")
            return b" 200 " in connection.makefile("rb").readline()
    except OSError:
        return False


def main() -> int:
    """0 once the agent is ready, 1 after a minute."""
    port = int(os.environ.get("SMI_REFERENCE_READINESS_PORT", READINESS_PORT))
    deadline = time.monotonic() + _AT_MOST_S
    while not is_ready(port):
        if time.monotonic() > deadline:
            return 1
        time.sleep(_POLL_S)
    return 0


if __name__ == "__main__":
    sys.exit(main())
