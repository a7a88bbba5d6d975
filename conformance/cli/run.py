"""run: judge a mesh and write its report."""

from __future__ import annotations

import argparse
from functools import partial

import pytest

from conformance import catalogue, plugin, profiles
from conformance.cli.options import cluster_options, mesh_options, rule_options
from conformance.clusters import ClusterError, selection
from conformance.drive.version_selection import parse_version_choice
from conformance.model.exit_codes import HELP, ExitCode
from conformance.run import not_started
from conformance.run.options import EXECUTION, REPORTING, SELECTION, read
from conformance.traceability import index


def arguments(run: argparse.ArgumentParser) -> None:
    """Describe the command, and add its arguments."""
    run.description = "Judges a mesh and writes report.json, report.html and junit.xml to reports/<run>/."
    run.epilog = (
        HELP + "\nexamples:\n"
        "  smi-conformance run --context kind-smi --mesh reference\n"
        "  smi-conformance run --mesh ./my-mesh.yaml -k split --level core\n"
        "  smi-conformance run --mesh reference --requirement split-zero-weight-gets-nothing -- -x\n"
    )
    run.formatter_class = argparse.RawDescriptionHelpFormatter
    cluster_options(run)
    mesh_options(run)
    rule_options(run)
    run.add_argument("-k", metavar="EXPRESSION", help="only tests whose names match, like pytest's -k")
    for option in (*SELECTION, *REPORTING):
        option.add(run)
    run.add_argument(
        "--dry-run",
        action="store_true",
        help="print the tests, their API versions and the objects they would apply; run nothing",
    )
    loudness = run.add_mutually_exclusive_group()
    loudness.add_argument("-q", "--quiet", action="store_true", help="print only the result")
    loudness.add_argument(
        "-v", "--verbose", action="store_true", help="print each test, its traffic and its waits"
    )
    for option in EXECUTION:
        option.add(run)
    run.set_defaults(function=_run)


def _run(typed: argparse.Namespace) -> int:
    asked = read(partial(getattr, typed))
    known = catalogue.load()
    for requirement_id in asked.requirements:
        known[requirement_id]
    profile = profiles.load(asked.mesh)
    parse_version_choice(asked.versions, profile.claims.by_group())
    if asked.keep and asked.where.embedded:
        raise ClusterError(
            "--keep: the embedded cluster is removed with the run; try `smi-conformance shell`"
        )
    command = ("smi-conformance", *typed.typed)
    if not typed.dry_run and not _collects(typed):
        try:
            if not typed.quiet:
                print(selection.describe(asked.where), flush=True)
            selection.check(asked.where, asked.mesh)
        except ClusterError as error:
            print(not_started.write(str(error), profile, command, asked), flush=True)
            raise
    given = plugin.RunRequest(command=command, options=asked, planned=typed.dry_run)
    code = int(pytest.main([*_arguments(typed), *typed.pytest_options], plugins=[given]))
    return code if code in {ExitCode.HOLDS, ExitCode.BROKEN} else ExitCode.INCONCLUSIVE


def _arguments(typed: argparse.Namespace) -> list[str]:
    """Arguments for pytest, which by default prints nothing about single tests."""
    arguments = [str(index.SUITES), "--assert=plain", "--no-header"]
    if not _collects(typed):
        # The report's closing lines name the failed requirements; skipped tests are only for -v.
        arguments += ["-v", "-ra"] if typed.verbose else ["-qqq" if typed.quiet else "-qq", "-rN"]
    arguments += ["--override-ini", "console_output_style=classic"] if not typed.verbose else []
    arguments += ["-k", typed.k] if typed.k else []
    return [*arguments, "--collect-only"] if typed.dry_run else arguments


def _collects(typed: argparse.Namespace) -> bool:
    """Whether pytest only lists the tests."""
    return bool({"--collect-only", "--co"} & set(typed.pytest_options))
