"""faults and variants: test the suite itself with altered reference meshes."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from conformance import profiles
from conformance.catalogue import APIS
from conformance.cli.options import cluster_options, mesh_options, open_cluster, where
from conformance.clusters import ClusterError, selection

if TYPE_CHECKING:
    from conformance.campaign.campaign import Result
    from conformance.campaign.cases import Campaign, Case


def fault_arguments(faults: argparse.ArgumentParser) -> None:
    """Describe the command, and add its arguments."""
    faults.description = (
        "Enables each fault of the reference mesh in turn, runs the scenarios concerned, and "
        "compares the requirements that failed with those that the fault breaks. The reference mesh must be "
        "installed."
    )
    faults.epilog = (
        "Failures on a starved machine do not count: such faults are judged once more at the end,\n"
        "one at a time.\n\n"
        "exit code:\n  0  every fault detected by exactly the expected requirements\n"
        "  1  a fault undetected, or an unexpected failure\n"
        "  2  starved the second time as well, or unusable input\n"
    )
    faults.formatter_class = argparse.RawDescriptionHelpFormatter
    cluster_options(faults)
    mesh_options(faults, default="reference")
    faults.add_argument(
        "--fault", nargs="+", action="extend", default=[], metavar="ID", help="only these faults"
    )
    faults.add_argument(
        "--api",
        nargs="+",
        action="extend",
        default=[],
        choices=APIS,
        metavar="API",
        help=f"only faults of these APIs alone: {', '.join(APIS)}",
    )
    faults.add_argument(
        "--also",
        metavar="TEXT",
        help="run scenarios with this in their file's path too (traffic_split), to find other failures",
    )
    _campaign_options(faults)
    faults.set_defaults(function=_faults)


def variant_arguments(variants: argparse.ArgumentParser) -> None:
    """Describe the command, and add its arguments."""
    variants.description = (
        "Enables each variant of the reference mesh in turn and runs the scenarios that it could "
        "affect: all claimed requirements must hold, without findings. The reference mesh must be installed."
    )
    variants.epilog = (
        "Failures on a starved machine do not count: such variants are judged once more at the end,\n"
        "one at a time.\n\n"
        "exit code:\n  0  all passed\n"
        "  1  a variant failed, was inconclusive, had findings, or lacked its expected readings\n"
        "  2  starved the second time as well, or unusable input\n"
    )
    variants.formatter_class = argparse.RawDescriptionHelpFormatter
    cluster_options(variants)
    mesh_options(variants, default="reference")
    variants.add_argument(
        "--variant", nargs="+", action="extend", default=[], metavar="ID", help="only these variants"
    )
    variants.add_argument(
        "--whole",
        action="store_true",
        help="run the whole suite, not only the scenarios that could be affected",
    )
    _campaign_options(variants)
    variants.set_defaults(function=_variants)


def _campaign_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--jobs",
        type=_count,
        metavar="N",
        help="number of embedded clusters in parallel (default: three per two processors, as memory permits)",
    )
    parser.add_argument(
        "--format", choices=("text", "json", "markdown"), default="text", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the outcomes as JSON to this file"
    )


def _count(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive integer")
    return number


class _Formatter(Protocol):
    """The module that formats the outcomes of a kind of campaign."""

    def line(self, outcome: Any, /) -> str: ...
    def conclusion(self, outcomes: Any, /) -> str: ...
    def page(self, outcomes: Any, /) -> str: ...
    def exit_code(self, outcomes: Any, /) -> int: ...


def _faults(options: argparse.Namespace) -> int:
    from conformance.campaign import cases, fault_results

    _check_json_path(options)
    return _run(options, cases.select_faults(options.fault, options.api), options.also, fault_results)


def _variants(options: argparse.Namespace) -> int:
    from conformance.campaign import cases, variant_results

    _check_json_path(options)
    # The empty text is part of every path.
    also = "" if options.whole else None
    return _run(options, cases.select_variants(options.variant), also, variant_results)


def _run(options: argparse.Namespace, cases: Sequence[Case], also: str | None, formatter: _Formatter) -> int:
    """Run a campaign of these cases and print its outcomes in the chosen format; returns the exit code."""
    from conformance.campaign.cases import Campaign

    campaign = Campaign(cases, profiles.load(options.mesh), options.image, also)
    outcomes = _final_outcomes(options, campaign, formatter.line)
    match options.format:
        case "json":
            print(_as_json(outcomes))
        case "markdown":
            print(formatter.page(outcomes), end="")
        case _:
            print(formatter.conclusion(outcomes))
    return formatter.exit_code(outcomes)


def _check_json_path(options: argparse.Namespace) -> None:
    if options.json is not None and not options.json.absolute().parent.is_dir():
        raise ClusterError(f"--json: no directory {options.json.absolute().parent}")


def _as_json(outcomes: Sequence[Result]) -> str:
    return json.dumps([outcome.as_json() for outcome in outcomes], indent=1)


def _final_outcomes(options: argparse.Namespace, campaign: Campaign, line: Callable[[Any], str]) -> list[Any]:
    """The outcome of each case in the order given, printed as they come; of the cases' own result type.

    Cases that were undecided because the machine was starved run once more, one at a time.
    """
    # JSON and Markdown have standard output to themselves.
    progress = sys.stdout if options.format == "text" else sys.stderr
    print(selection.describe(where(options)), file=progress, flush=True)
    by_id = _print_each(_outcomes(options, campaign, options.jobs), campaign, line, progress)
    again = replace(campaign, chosen=[case for case in campaign.chosen if by_id[case.id].starved_only])
    if again.chosen:
        print("starved cases run once more, one at a time:", file=progress, flush=True)
        by_id |= _print_each(_outcomes(options, again, 1), again, line, progress)
    outcomes = [by_id[case.id] for case in campaign.chosen]
    if options.json is not None:
        options.json.write_text(_as_json(outcomes) + "\n", encoding="utf-8")
    return outcomes


def _print_each(
    outcomes: Generator[Result, None, None], campaign: Campaign, line: Callable[[Any], str], progress: TextIO
) -> dict[str, Result]:
    """The outcomes by the ids of their cases, each printed as it comes."""
    by_id = {}
    with closing(outcomes):
        for number, outcome in enumerate(outcomes, 1):
            print(f"[{number}/{len(campaign.chosen)}] {line(outcome)}", file=progress, flush=True)
            by_id[outcome.id] = outcome
    return by_id


def _outcomes(
    options: argparse.Namespace, campaign: Campaign, jobs: int | None
) -> Generator[Result, None, None]:
    """The outcomes of a campaign as they come. Raises ClusterError."""
    from conformance.campaign import campaign as campaigns
    from conformance.campaign import parallel

    embedded = where(options).embedded
    if embedded:
        selection.check(where(options), options.mesh)
    jobs = jobs or (parallel.jobs() if embedded else 1)
    if jobs > 1 and not embedded:
        raise ClusterError(
            "--jobs: needs embedded clusters; the mesh of a cluster has one fault or variant at a time"
        )
    if jobs > 1:
        yield from parallel.run(campaign, jobs)
        return
    with open_cluster(options) as cluster:
        yield from campaigns.run(cluster, campaign, campaign.chosen)
