"""version: the version of the suite."""

from __future__ import annotations

import argparse
import importlib.metadata

from conformance.cli.options import Commands


def add(commands: Commands) -> None:
    command = commands.add_parser(
        "version", help="print the version of the suite", description="Prints the version of the suite."
    )
    command.set_defaults(function=_version)


def _version(_: argparse.Namespace) -> int:
    print(importlib.metadata.version("smi-conformance"))
    return 0
