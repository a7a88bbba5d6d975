"""list and explain: what is known without a cluster."""

from __future__ import annotations

import argparse
import importlib.metadata
import json

from conformance import catalogue, profiles
from conformance.cli.options import Commands
from conformance.drive.manifests import STOCK_IMAGE
from conformance.profiles import Profile
from conformance.traceability import explain, matrix

_WHICH = "a profile's name, or a path such as ./my-mesh.yaml"


def add(commands: Commands) -> None:
    listing = commands.add_parser(
        "list",
        help="every requirement with its level, versions, tests and faults",
        description="Lists the catalogue: every requirement, tested or not.",
    )
    listing.add_argument("--format", choices=("text", "json"), default="text", help="(default: %(default)s)")
    listing.add_argument("--mesh", metavar="PROFILE", help=f"mark what is not asked of a mesh: {_WHICH}")
    listing.add_argument(
        "--api",
        action="append",
        choices=catalogue.APIS,
        metavar="API",
        help=f"only requirements of this API; may be repeated: {', '.join(catalogue.APIS)}",
    )
    listing.add_argument(
        "--level", action="append", choices=catalogue.LEVELS, help="only this level; may be repeated"
    )
    listing.add_argument("--untested", action="store_true", help="only what has no test, with the reason")
    listing.set_defaults(function=_list)
    version = commands.add_parser(
        "version", help="the version of the suite", description="Prints the version of the suite."
    )
    version.set_defaults(function=_version)
    images = commands.add_parser(
        "images",
        help="the images that a run needs, for a mirror",
        description="Lists the images that a run pulls, one to a line, for those who have to mirror them.",
    )
    images.add_argument(
        "--mesh", metavar="PROFILE", help="with those of the reference mesh, where it is that: its profile"
    )
    images.set_defaults(function=_images)
    explaining = commands.add_parser(
        "explain",
        help="one requirement: statement, source, objects, traffic, judgement, faults",
        description="Explains how a requirement is tested, from objects applied to faults caught.",
    )
    explaining.add_argument(
        "requirement", metavar="ID", help="a requirement, as `smi-conformance list` shows it"
    )
    explaining.add_argument(
        "--mesh", metavar="PROFILE", help=f"show the objects as a mesh gets them: {_WHICH}"
    )
    explaining.set_defaults(function=_explain)


def _profile(options: argparse.Namespace) -> Profile | None:
    return profiles.load(options.mesh) if options.mesh else None


def _list(options: argparse.Namespace) -> int:
    rows = [
        row
        for row in matrix.rows(_profile(options))
        if (not options.api or row.requirement.api in options.api)
        and (not options.level or row.requirement.level in options.level)
        and (not options.untested or not row.tests)
    ]
    if options.format == "json":
        print(json.dumps([row.as_json() for row in rows], indent=1))
    else:
        print(matrix.table(rows, reasons=options.untested))
    return 0


def _version(_: argparse.Namespace) -> int:
    print(importlib.metadata.version("smi-conformance"))
    return 0


def _images(options: argparse.Namespace) -> int:
    print(STOCK_IMAGE)
    if options.mesh and profiles.load(options.mesh).name.startswith("reference"):
        from smi_reference_mesh.install.image import default_image

        print(default_image())
    return 0


def _explain(options: argparse.Namespace) -> int:
    print(explain.explain(options.requirement, _profile(options)))
    return 0
