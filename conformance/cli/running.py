"""run: judge a mesh."""

from __future__ import annotations

import argparse
import re
from functools import partial
from pathlib import Path

import pytest

from conformance import catalogue, plugin, profiles
from conformance.cli.options import (
    EXIT_CODES,
    Commands,
    cluster_options,
    house_rules,
    mesh_options,
    rule_options,
    where,
)
from conformance.clusters import ClusterError, opening
from conformance.drive.version_sets import parse_wish
from conformance.model.exit_codes import ExitCode
from conformance.report import store
from conformance.run import not_started
from conformance.traceability import index


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
    rule_options(run)
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
        "--reports",
        default="reports",
        metavar="DIR",
        help="where reports go, each into a directory of its own (default: reports)",
    )
    run.add_argument("-o", "--output", metavar="DIR", help="write the report into this directory itself")
    run.add_argument("--junit", metavar="FILE", help="write the JUnit file there as well")
    run.add_argument(
        "--timeout",
        type=duration_s,
        metavar="TIME",
        help="end the run after that time, as Ctrl-C does, such as 90s, 20m or 1h30m",
    )
    run.add_argument(
        "--dry-run",
        action="store_true",
        help="say what would be tested, in which versions, and what would be applied; do nothing",
    )
    loudness = run.add_mutually_exclusive_group()
    loudness.add_argument("-q", "--quiet", action="store_true", help="say the result alone")
    loudness.add_argument(
        "-v", "--verbose", action="store_true", help="say each test, and what is driven and waited for"
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
    profile = profiles.load(options.mesh)
    parse_wish(options.versions, profile.claims.by_group())
    which = where(options)
    if options.keep and which.embedded:
        raise ClusterError("--keep: the embedded cluster ends with the run; try `smi-conformance shell`")
    command = ("smi-conformance", *options.typed)
    if not options.dry_run and not _collects(options):
        try:
            if not options.quiet:
                print(opening.described(which), flush=True)
            opening.check(which, options.mesh)
        except ClusterError as error:
            where_it_is = not_started.write(
                str(error),
                profile,
                command,
                directory=partial(store.place, options.output, options.reports),
                results=Path(options.junit) if options.junit else None,
            )
            print(where_it_is, flush=True)
            raise
    given = plugin.Given(command=command, planned=options.dry_run, rules=house_rules(options))
    code = int(pytest.main([*_arguments(options, which), *options.pytest_options], plugins=[given]))
    return code if code in {ExitCode.HOLDS, ExitCode.BROKEN} else ExitCode.INCONCLUSIVE


def _arguments(options: argparse.Namespace, which: opening.Where) -> list[str]:
    """The same for pytest, which says of single tests nothing unless it is asked to."""
    arguments = [str(index.SUITES), "--assert=plain", "--no-header", *which.options()]
    if not _collects(options):
        # The report's lines say which requirements failed; which tests were skipped is for who asks for more.
        arguments += ["-v", "-ra"] if options.verbose else ["-qqq" if options.quiet else "-qq", "-rN"]
    arguments += ["--override-ini", "console_output_style=classic"] if not options.verbose else []
    values = ("mesh", "image", "versions", "reports", "output", "junit", "timeout")
    for name in values:
        if (value := getattr(options, name)) is not None:
            arguments += [f"--{name}", str(value)]
    arguments += ["-k", options.k] if options.k else []
    arguments += [word for level in options.level for word in ("--level", level)]
    arguments += [word for one in options.requirement for word in ("--requirement", one)]
    arguments += ["--keep"] if options.keep else []
    arguments += ["--one-by-one"] if options.one_by_one else []
    return [*arguments, "--collect-only"] if options.dry_run else arguments


def _collects(options: argparse.Namespace) -> bool:
    """Whether pytest is asked for the names of tests alone."""
    return bool({"--collect-only", "--co"} & set(options.pytest_options))


def duration_s(text: str) -> float:
    """A duration as Go programs take it, such as 90s, 20m or 1h30m, in seconds; a bare number is of seconds.

    Raises argparse.ArgumentTypeError for what is none, or not above zero.
    """
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?", text)
    hours, minutes, rest = found.groups() if found else (None, None, None)
    total = 3600 * float(hours or 0) + 60 * float(minutes or 0) + float(rest or 0)
    if not total:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration such as 90s, 20m or 1h30m")
    return total
