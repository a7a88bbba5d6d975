"""list: the requirements of the catalogue."""

from __future__ import annotations

import argparse
import json

from conformance import catalogue
from conformance.cli.profile_option import PROFILE_HELP, optional_profile
from conformance.traceability import matrix


def arguments(command: argparse.ArgumentParser) -> None:
    """Describe the command, and add its arguments."""
    command.description = "Lists all requirements of the catalogue, with and without tests."
    command.add_argument("--format", choices=("text", "json"), default="text", help="(default: %(default)s)")
    command.add_argument(
        "--mesh", metavar="PROFILE", help=f"mark requirements that do not apply to a mesh: {PROFILE_HELP}"
    )
    command.add_argument(
        "--api",
        action="append",
        choices=catalogue.APIS,
        metavar="API",
        help=f"only requirements of this API; may be repeated: {', '.join(catalogue.APIS)}",
    )
    command.add_argument(
        "--level", action="append", choices=catalogue.LEVELS, help="only this level; may be repeated"
    )
    command.add_argument(
        "--untested", action="store_true", help="only requirements without a test, with the reason"
    )
    command.set_defaults(function=_list)


def _list(options: argparse.Namespace) -> int:
    rows = [
        row
        for row in matrix.rows(optional_profile(options))
        if (not options.api or row.requirement.api in options.api)
        and (not options.level or row.requirement.level in options.level)
        and (not options.untested or not row.tests)
    ]
    if options.format == "json":
        print(json.dumps([row.as_json() for row in rows], indent=1))
    else:
        print(matrix.table(rows, reasons=options.untested))
    return 0
