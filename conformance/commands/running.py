"""run: judge a mesh."""

from __future__ import annotations

import argparse

import pytest

from conformance import catalogue, plugin, profiles, suites_index
from conformance.clusters import ClusterError, opening
from conformance.commands import EXIT_CODES, Commands, cluster_options, mesh_options, where
from conformance.drive.version_sets import parse_wish


def add(commands: Commands) -> None:
    run = commands.add_parser(
        "run",
        help="judge a mesh and write reports/<run>/",
        description="Judges a mesh; report.json, report.html and junit.xml go to reports/<run>/.",
        epilog=EXIT_CODES + "\nexamples:\n"
        "  smi-conformance run --context kind-smi --mesh reference\n"
        "  smi-conformance run --mesh ./my-mesh.yaml -k split --level core\n"
        "  smi-conformance run --mesh reference --requirement split-zero-weight-gets-nothing -- -x\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cluster_options(run)
    mesh_options(run)
    run.add_argument("-k", metavar="EXPRESSION", help="only tests whose names match, as pytest's -k")
    run.add_argument(
        "--level",
        action="append",
        default=[],
        choices=catalogue.LEVELS,
        help="only this level; may be repeated",
    )
    run.add_argument(
        "--requirement", nargs="+", action="extend", default=[], metavar="ID", help="only these requirements"
    )
    run.add_argument(
        "--versions",
        default="newest",
        metavar="WHICH",
        help="API versions to speak: newest, all, or a list such as split=v1alpha2,specs=v1alpha3 "
        "(default: %(default)s)",
    )
    run.add_argument(
        "--reports", default="reports", metavar="DIR", help="where reports go (default: reports)"
    )
    run.add_argument(
        "--one-by-one",
        action="store_true",
        help="drive no two scenarios at the same time, though they work in namespaces of their own",
    )
    run.add_argument("--keep", action="store_true", help="leave the arena in the cluster after the run")
    run.set_defaults(function=_run)


def _run(options: argparse.Namespace) -> int:
    known = catalogue.load()
    for requirement_id in options.requirement:
        known[requirement_id]
    parse_wish(options.versions, profiles.load(options.mesh).claims.by_group())
    which = where(options)
    if options.keep and which.embedded:
        raise ClusterError("--keep: the embedded cluster ends with the run; try `smi-conformance shell`")
    print(opening.described(which), flush=True)
    opening.check(which, options.mesh)
    arguments = [str(suites_index.SUITES), "--mesh", options.mesh, "--image", options.image]
    arguments += [
        "--versions",
        options.versions,
        "--reports",
        options.reports,
        "--assert=plain",
        "--no-header",
        "-v",
    ]
    arguments += which.options()
    arguments += ["-k", options.k] if options.k else []
    for level in options.level:
        arguments += ["--level", level]
    for requirement_id in options.requirement:
        arguments += ["--requirement", requirement_id]
    arguments += ["--keep"] if options.keep else []
    arguments += ["--one-by-one"] if options.one_by_one else []
    typed = plugin.Given(command=("smi-conformance", *options.typed))
    code = int(pytest.main([*arguments, *options.pytest_options], plugins=[typed]))
    # pytest's own codes above 1 (usage, nothing collected, interrupted) all mean: nothing can be concluded.
    return code if code in {0, 1} else plugin.UNUSABLE
