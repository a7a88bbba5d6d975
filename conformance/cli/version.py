"""version: the version of the suite."""

from __future__ import annotations

import argparse
import importlib.metadata


def arguments(command: argparse.ArgumentParser) -> None:
    """Describe the command, and add its arguments."""
    command.description = "Prints the version of the suite."
    command.set_defaults(function=_version)


def _version(_: argparse.Namespace) -> int:
    print(importlib.metadata.version("smi-conformance"))
    return 0
