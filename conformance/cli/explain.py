"""explain: how a requirement is tested."""

from __future__ import annotations

import argparse

from conformance.cli.profile_option import PROFILE_HELP, optional_profile
from conformance.traceability import explain


def arguments(command: argparse.ArgumentParser) -> None:
    """Describe the command, and add its arguments."""
    command.description = (
        "Explains how a requirement is tested: its statement and source, the objects as "
        "rendered, the traffic, the judges, and the faults that its tests detect."
    )
    command.add_argument(
        "requirement", metavar="ID", help="a requirement, as `smi-conformance list` shows it"
    )
    command.add_argument("--mesh", metavar="PROFILE", help=f"render the objects for a mesh: {PROFILE_HELP}")
    command.set_defaults(function=_explain)


def _explain(options: argparse.Namespace) -> int:
    print(explain.explain(options.requirement, optional_profile(options)))
    return 0
