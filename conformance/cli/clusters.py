"""doctor, faults, variants, shell and clean: what is done to a cluster besides a run."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from conformance import profiles
from conformance.catalogue import APIS
from conformance.cli import shell
from conformance.cli.options import (
    Commands,
    cluster_options,
    cluster_rules,
    mesh_options,
    rule_options,
    where,
)
from conformance.clusters import Cluster, ClusterError, opening
from conformance.drive.arena import remove
from conformance.drive.manifests import RUN_LABEL
from conformance.drive.wait import Waiter
from conformance.model.exit_codes import ExitCode
from conformance.run.context import RunContext
from conformance.run.preflight import examine, preflight

if TYPE_CHECKING:
    from conformance.campaign.campaign import Result
    from conformance.campaign.cases import Campaign, Case


def add(commands: Commands) -> None:
    doctor = commands.add_parser(
        "doctor",
        help="what is served, joined, reachable, missing; each with its remedy",
        description="Examines a cluster and its mesh before a run; two pods are created and removed again.",
    )
    cluster_options(doctor)
    mesh_options(doctor)
    rule_options(doctor)
    doctor.set_defaults(function=_doctor)
    faults = commands.add_parser(
        "faults",
        help="break the reference mesh on purpose: is every fault caught, and blamed rightly?",
        description="Switches each fault of the reference mesh on in turn, runs the scenarios concerned, and "
        "compares the requirements that failed with those that the fault breaks. The reference mesh must be "
        "installed.",
        epilog="A failure on a machine that was starved meanwhile does not count: such a fault is judged\n"
        "once more in the end, one at a time.\n\n"
        "exit code:\n  0  all caught, none blamed wrongly\n  1  a fault missed or misblamed\n"
        "  2  starved the second time as well, or input that cannot be used\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
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
        help=f"only faults that concern these APIs and no other: {', '.join(APIS)}",
    )
    faults.add_argument(
        "--also",
        metavar="TEXT",
        help="scenarios whose file has this in its path as well (traffic_split), to see what else breaks",
    )
    _campaign_options(faults)
    faults.set_defaults(function=_faults)
    _add_variants(commands)
    looking = commands.add_parser(
        "shell",
        help="an arena that stays up, and a prompt to look into it",
        description="Makes an arena and opens a prompt: send traffic, apply manifests, run commands in pods, "
        "read logs and what a proxy has. The arena is removed when the prompt is left.",
    )
    cluster_options(looking)
    mesh_options(looking, default="reference")
    rule_options(looking)
    looking.set_defaults(function=_shell)
    clean = commands.add_parser(
        "clean",
        help="remove what runs left behind, for instance after kill -9",
        description=f"Removes the namespaces that carry the label {RUN_LABEL}, with all in them. Embedded "
        "clusters need no cleaning: the kernel takes them down with the run.",
    )
    cluster_options(clean, unless="current")
    clean.add_argument("--run", metavar="ID", help="only what this run left behind")
    clean.set_defaults(function=_clean)


def _add_variants(commands: Commands) -> None:
    variants = commands.add_parser(
        "variants",
        help="make the reference mesh different and still right: does it pass all the same?",
        description="Switches each variant of the reference mesh on in turn and runs the scenarios that it "
        "could upset: everything claimed is to hold, and nothing to be found. The reference mesh must be "
        "installed.",
        epilog="A failure on a machine that was starved meanwhile does not count: such a variant is judged\n"
        "once more in the end, one at a time.\n\n"
        "exit code:\n  0  all passed\n  1  a variant blamed, left open, or not seen to be what it is\n"
        "  2  starved the second time as well, or input that cannot be used\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cluster_options(variants)
    mesh_options(variants, default="reference")
    variants.add_argument(
        "--variant", nargs="+", action="extend", default=[], metavar="ID", help="only these variants"
    )
    variants.add_argument(
        "--whole", action="store_true", help="the whole suite under each, not only what it could upset"
    )
    _campaign_options(variants)
    variants.set_defaults(function=_variants)


def _campaign_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--jobs",
        type=_count,
        metavar="N",
        help="embedded clusters to do it in side by side (default: three for two processors, as "
        "far as the memory goes)",
    )
    parser.add_argument(
        "--format", choices=("text", "json", "markdown"), default="text", help="(default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the outcomes there as well")


def _count(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return number


def _doctor(options: argparse.Namespace) -> int:
    profile = profiles.load(options.mesh)
    print(opening.described(where(options)), flush=True)
    wrong = 0
    with _opened(options) as cluster:
        context = RunContext.open(profile, cluster, image=options.image, rules=cluster_rules(options))
        for check in examine(context):
            wrong += not check.ok
            print(f"{'ok     ' if check.ok else 'MISSING'} {check.name:<10} {check.detail}", flush=True)
            if check.remedy:
                print(f"{'':8}{'':<10} → {check.remedy}")
    return ExitCode.INCONCLUSIVE if wrong else ExitCode.HOLDS


def _opened(options: argparse.Namespace) -> AbstractContextManager[Cluster]:
    """The cluster that was asked for, closed at the end."""
    return closing(opening.open_cluster(where(options), options.mesh))


class _Telling(Protocol):
    """The module that tells what became of a campaign's cases."""

    def line(self, outcome: Any, /) -> str: ...
    def conclusion(self, outcomes: Any, /) -> str: ...
    def page(self, outcomes: Any, /) -> str: ...
    def exit_code(self, outcomes: Any, /) -> int: ...


def _faults(options: argparse.Namespace) -> int:
    from conformance.campaign import cases, fault_results

    _check(options)
    return _judged(options, cases.select_faults(options.fault, options.api), options.also, fault_results)


def _variants(options: argparse.Namespace) -> int:
    from conformance.campaign import cases, variant_results

    _check(options)
    # Every path has the empty text in it.
    also = "" if options.whole else None
    return _judged(options, cases.select_variants(options.variant), also, variant_results)


def _judged(options: argparse.Namespace, chosen: Sequence[Case], also: str | None, told_by: _Telling) -> int:
    """Judge the suite by these cases, and tell what became of them in the format that was asked for."""
    from conformance.campaign import cases

    asked = cases.Campaign(chosen, profiles.load(options.mesh), options.image, also)
    ordered = _campaign(options, asked, told_by.line)
    match options.format:
        case "json":
            print(_as_json(ordered))
        case "markdown":
            print(told_by.page(ordered), end="")
        case _:
            print(told_by.conclusion(ordered))
    return told_by.exit_code(ordered)


def _check(options: argparse.Namespace) -> None:
    if options.json is not None and not options.json.absolute().parent.is_dir():
        raise ClusterError(f"--json: there is no directory {options.json.absolute().parent}")


def _as_json(ordered: Sequence[Result]) -> str:
    return json.dumps([one.as_json() for one in ordered], indent=1)


def _campaign(options: argparse.Namespace, asked: Campaign, line: Callable[[Any], str]) -> list[Any]:
    """What became of each case, in the order in which they were chosen; all are told as they come.

    What the machine was starved under is judged once more. The results are of the cases' own kind.
    """
    # What is for a program or a page has standard output to itself.
    progress = sys.stdout if options.format == "text" else sys.stderr
    print(opening.described(where(options)), file=progress, flush=True)
    found = _told(_outcomes(options, asked, options.jobs), asked, line, progress)
    again = replace(asked, chosen=[one for one in asked.chosen if found[one.id].starved_only])
    if again.chosen:
        print("what the machine was starved under is judged again, one at a time:", file=progress, flush=True)
        found |= _told(_outcomes(options, again, 1), again, line, progress)
    ordered = [found[case.id] for case in asked.chosen]
    if options.json is not None:
        options.json.write_text(_as_json(ordered) + "\n", encoding="utf-8")
    return ordered


def _told(
    found: Generator[Result, None, None], asked: Campaign, line: Callable[[Any], str], progress: TextIO
) -> dict[str, Result]:
    """The outcomes of a campaign by the ids of their cases; each is told as it comes."""
    by_id = {}
    with closing(found):
        for number, outcome in enumerate(found, 1):
            print(f"[{number}/{len(asked.chosen)}] {line(outcome)}", file=progress, flush=True)
            by_id[outcome.id] = outcome
    return by_id


def _outcomes(
    options: argparse.Namespace, asked: Campaign, jobs: int | None
) -> Generator[Result, None, None]:
    """The outcomes of a campaign as they come. Raises ClusterError."""
    from conformance.campaign import campaign, parallel

    alone = where(options).embedded
    if alone:
        opening.check(where(options), options.mesh)
    jobs = jobs or (parallel.jobs() if alone else 1)
    if jobs > 1 and not alone:
        raise ClusterError("--jobs: a cluster has one mesh, which is made different in one way at a time")
    if jobs > 1:
        yield from parallel.run(asked, jobs)
        return
    with _opened(options) as cluster:
        yield from campaign.run(cluster, asked, asked.chosen)


def _shell(options: argparse.Namespace) -> int:
    profile = profiles.load(options.mesh)
    print(opening.described(where(options)), flush=True)
    with _opened(options) as cluster:
        context = RunContext.open(profile, cluster, image=options.image, rules=cluster_rules(options))
        problem = preflight(context, {group: [one] for group, one in context.api_versions().items()})
        if problem is not None:
            raise ClusterError(str(problem))
        shell.run(context)
    return 0


def _clean(options: argparse.Namespace) -> int:
    labels = f"{RUN_LABEL}={options.run}" if options.run else RUN_LABEL
    with closing(opening.existing(where(options))) as cluster:
        names = remove(cluster, Waiter(), labels)
    removed = f"removed {len(names)} namespaces: {', '.join(names)}" if names else "nothing to remove"
    print(f"cluster {cluster.name}: {removed}")
    return 0
