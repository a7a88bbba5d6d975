"""The gate before an application: whoever waits for the sidecar reads a named pipe that the agent closes.

Opening a named pipe waits for its other end, so waiting takes nothing but `cat`. The init container makes the
pipe, for it must be there before anybody waits. Next to nothing is imported: see smi_reference_mesh.names.
"""

from __future__ import annotations

import os

GATE = "ready"
_WITHIN_S = 60


def wait_command(directory: str) -> list[str]:
    """The command that ends with 0 when the gate has been opened, and with another status after a minute."""
    return ["timeout", str(_WITHIN_S), "cat", f"{directory}/{GATE}"]


def make(directory: str) -> None:
    """Makes the gate, closed; one that is there stays. Raises OSError."""
    gate = f"{directory}/{GATE}"
    try:
        os.mkfifo(gate)
    except FileExistsError:
        return
    # Whoever makes it is another user than those who wait and open, and its mask is its own.
    os.chmod(gate, 0o666)  # noqa: S103 - in a volume of these two alone


def open_to_one(directory: str) -> None:
    """Lets through whoever waits or comes next, and waits for that one; does nothing without a gate."""
    try:
        os.close(os.open(f"{directory}/{GATE}", os.O_WRONLY))
    except FileNotFoundError:
        return
