"""list and explain: what is known without a cluster."""

from __future__ import annotations

import argparse
import json

from conformance import explaining, profiles
from conformance.commands import Commands
from conformance.profiles import Profile

_WHICH = "a profile's name, or a path such as ./my-mesh.yaml"


def add(commands: Commands) -> None:
    listing = commands.add_parser(
        "list",
        help="every requirement with its level, versions, tests and faults",
        description="Lists the catalogue: every requirement, tested or not.",
    )
    listing.add_argument("--format", choices=("text", "json"), default="text", help="(default: %(default)s)")
    listing.add_argument("--mesh", metavar="PROFILE", help=f"mark what is not asked of a mesh: {_WHICH}")
    listing.set_defaults(function=_list)
    explain = commands.add_parser(
        "explain",
        help="one requirement: statement, source, objects, traffic, judgement, faults",
        description="Explains how a requirement is tested, from objects applied to faults caught.",
    )
    explain.add_argument(
        "requirement", metavar="ID", help="a requirement, as `smi-conformance list` shows it"
    )
    explain.add_argument("--mesh", metavar="PROFILE", help=f"show the objects as a mesh gets them: {_WHICH}")
    explain.set_defaults(function=_explain)


def _profile(options: argparse.Namespace) -> Profile | None:
    return profiles.load(options.mesh) if options.mesh else None


def _list(options: argparse.Namespace) -> int:
    rows = explaining.rows(_profile(options))
    if options.format == "json":
        print(json.dumps([row.as_json() for row in rows], indent=1))
    else:
        print(explaining.table(rows))
    return 0


def _explain(options: argparse.Namespace) -> int:
    print(explaining.explain(options.requirement, _profile(options)))
    return 0
