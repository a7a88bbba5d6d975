"""Programs in a network of their own, in the sandbox of the embedded cluster."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conformance.clusters.embedded.node.preconditions import problems
from conformance.clusters.embedded.node.sandbox import sandbox_command, sandbox_environment

_LACKING = problems()
_PATIENCE_S = 30
in_a_network = pytest.mark.skipif(bool(_LACKING), reason="; ".join(_LACKING))


def printed(program: Path, what: str) -> dict[str, Any]:
    """The JSON that a Python program prints for an argument."""
    with subprocess.Popen(
        sandbox_command([sys.executable, "-W", "error", str(program), what]),
        # The program ends with its standard input.
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=sandbox_environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        said = process.stdout.read()
        assert process.wait(_PATIENCE_S) == 0, process.stderr.read()
        found: dict[str, Any] = json.loads(said)
        return found
