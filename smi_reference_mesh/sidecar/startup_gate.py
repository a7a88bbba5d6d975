"""The startup gate: holds the application back until the sidecar is ready, by a named pipe.

Opening a named pipe blocks until its other end opens, so `cat` suffices to wait. The init container makes the
pipe, which must exist before any reader. Imports almost nothing: see smi_reference_mesh.names.
"""

from __future__ import annotations

import os

GATE = "ready"
_WITHIN_S = 60


def wait_command(directory: str) -> list[str]:
    """The command that waits for the gate: exit status 0 once it opens, another after a minute."""
    return ["timeout", str(_WITHIN_S), "cat", f"{directory}/{GATE}"]


def make(directory: str) -> None:
    """Makes a closed gate; keeps an existing one. Raises OSError."""
    gate = f"{directory}/{GATE}"
    try:
        os.mkfifo(gate)
    except FileExistsError:
        return
    # The init container's user is neither the reader nor the writer, and mkfifo applies its umask.
    os.chmod(gate, 0o666)  # noqa: S103 - in a volume of the sidecar's containers alone


def release(directory: str) -> None:
    """Opens the gate for the present or next reader, and blocks until there is one; no-op without a gate."""
    try:
        os.close(os.open(f"{directory}/{GATE}", os.O_WRONLY))
    except FileNotFoundError:
        return
