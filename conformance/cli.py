"""The command line: run | list | explain | doctor | faults | clean | reference."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import sys
from collections.abc import Sequence

import pytest

from conformance import catalogue, explaining, plugin, profiles, suites_index
from conformance.catalogue import CatalogueError
from conformance.clusters import ClusterError
from conformance.clusters.kubernetes import KubernetesCluster
from conformance.doctor import examine, reachable
from conformance.drive.arena import remove
from conformance.drive.manifests import RUN_LABEL, STOCK_IMAGE
from conformance.drive.version_sets import VersionsError, parse_wish
from conformance.drive.wait import Waiter
from conformance.profiles import ProfileError
from conformance.session import Session

EXIT_CODES = """exit code:
  0  every claimed core requirement that was selected passed
  1  a core requirement failed
  2  inconclusive, nothing selected, or input that cannot be used
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = _parser()
    typed = tuple(given)
    if "--" in given:
        split = given.index("--")
        given, rest = given[:split], given[split + 1 :]
    else:
        rest = []
    options = parser.parse_args(given)
    if rest and options.command != "run":
        parser.error("only run takes pytest options after --")
    options.pytest_options, options.typed = rest, typed
    try:
        code: int = options.function(options)
    except (CatalogueError, ProfileError, VersionsError, ClusterError) as error:
        print(f"error: {error}", file=sys.stderr)
        return plugin.UNUSABLE
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return plugin.UNUSABLE
    except BrokenPipeError:
        # Whoever read us, such as `head`, has seen enough; without this Python complains when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return plugin.UNUSABLE
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="smi-conformance",
        description="Certifies service meshes against the Service Mesh Interface (SMI).",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    version = importlib.metadata.version("smi-conformance")
    parser.add_argument("--version", action="version", version=f"%(prog)s {version}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_run(commands)
    _add_reading(commands)
    _add_cluster_commands(commands)
    _add_reference(commands)
    return parser


def _cluster_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--context", metavar="NAME", help="context of the kubeconfig (default: the current one)"
    )
    parser.add_argument(
        "--kubeconfig", metavar="FILE", help="kubeconfig (default: KUBECONFIG or ~/.kube/config)"
    )


def _mesh_options(parser: argparse.ArgumentParser, *, default: str | None = None) -> None:
    there = ", ".join(profiles.names())
    parser.add_argument(
        "--mesh",
        required=default is None,
        default=default,
        metavar="PROFILE",
        help=f"the mesh's profile: one of {there}, or a path such as ./my-mesh.yaml",
    )
    parser.add_argument(
        "--image",
        default=STOCK_IMAGE,
        metavar="IMAGE",
        help="image of the sample workloads (default: %(default)s)",
    )


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
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
    _cluster_options(run)
    _mesh_options(run)
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
    run.add_argument("--keep", action="store_true", help="leave the arena in the cluster after the run")
    run.set_defaults(function=_run)


def _run(options: argparse.Namespace) -> int:
    known = catalogue.load()
    for requirement_id in options.requirement:
        known[requirement_id]
    parse_wish(options.versions, profiles.load(options.mesh).claims.by_group())
    first = reachable(KubernetesCluster(options.context, options.kubeconfig))
    if not first.ok:
        raise ClusterError(str(first))
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
    for flag in ("context", "kubeconfig", "k"):
        if getattr(options, flag):
            arguments += ["-k" if flag == "k" else f"--{flag}", getattr(options, flag)]
    for level in options.level:
        arguments += ["--level", level]
    for requirement_id in options.requirement:
        arguments += ["--requirement", requirement_id]
    if options.keep:
        arguments.append("--keep")
    typed = plugin.Given(command=("smi-conformance", *options.typed))
    code = int(pytest.main([*arguments, *options.pytest_options], plugins=[typed]))
    # pytest's own codes above 1 (usage, nothing collected, interrupted) all mean: nothing can be concluded.
    return code if code in {0, 1} else plugin.UNUSABLE


def _add_reading(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    listing = commands.add_parser(
        "list",
        help="every requirement with its level, versions, tests and faults",
        description="Lists the catalogue: every requirement, tested or not.",
    )
    listing.add_argument("--format", choices=("text", "json"), default="text", help="(default: %(default)s)")
    listing.set_defaults(function=_list)
    explain = commands.add_parser(
        "explain",
        help="one requirement: statement, source, objects, traffic, judgement, faults",
        description="Explains how a requirement is tested, from objects applied to faults caught.",
    )
    explain.add_argument(
        "requirement", metavar="ID", help="a requirement, as `smi-conformance list` shows it"
    )
    explain.set_defaults(function=_explain)


def _list(options: argparse.Namespace) -> int:
    rows = explaining.rows()
    if options.format == "json":
        print(json.dumps([row.as_json() for row in rows], indent=1))
    else:
        print(explaining.table(rows))
    return 0


def _explain(options: argparse.Namespace) -> int:
    print(explaining.explain(options.requirement))
    return 0


def _add_cluster_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    doctor = commands.add_parser(
        "doctor",
        help="what is served, joined, reachable, missing; each with its remedy",
        description="Examines a cluster and its mesh before a run; two pods are created and removed again.",
    )
    _cluster_options(doctor)
    _mesh_options(doctor)
    doctor.set_defaults(function=_doctor)
    faults = commands.add_parser(
        "faults",
        help="break the reference mesh on purpose: is every fault caught, and blamed rightly?",
        description="Switches each fault of the reference mesh on in turn, runs the scenarios concerned, and "
        "compares the requirements that failed with those that the fault breaks. The reference mesh must be "
        "installed.",
        epilog="exit code:\n  0  all caught, none blamed wrongly\n  1  a fault missed or misblamed\n"
        "  2  inconclusive, or input that cannot be used\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _cluster_options(faults)
    _mesh_options(faults, default="reference")
    faults.add_argument(
        "--fault", nargs="+", action="extend", default=[], metavar="ID", help="only these faults"
    )
    faults.add_argument("--format", choices=("text", "json"), default="text", help="(default: %(default)s)")
    faults.set_defaults(function=_faults)
    clean = commands.add_parser(
        "clean",
        help="remove what runs left behind, for instance after kill -9",
        description=f"Removes everything in the cluster that carries the label {RUN_LABEL}.",
    )
    _cluster_options(clean)
    clean.add_argument("--run", metavar="ID", help="only what this run left behind")
    clean.set_defaults(function=_clean)


def _doctor(options: argparse.Namespace) -> int:
    profile = profiles.load(options.mesh)
    session = Session(profile, KubernetesCluster(options.context, options.kubeconfig), image=options.image)
    wrong = 0
    for check in examine(session):
        wrong += not check.ok
        print(f"{'ok     ' if check.ok else 'MISSING'} {check.what:<10} {check.seen}", flush=True)
        if check.remedy:
            print(f"{'':8}{'':<10} → {check.remedy}")
    return plugin.UNUSABLE if wrong else 0


def _faults(options: argparse.Namespace) -> int:
    from conformance import campaign

    cluster = KubernetesCluster(options.context, options.kubeconfig)
    return campaign.main(
        cluster, profiles.load(options.mesh), options.image, options.fault, as_json=options.format == "json"
    )


def _clean(options: argparse.Namespace) -> int:
    cluster = KubernetesCluster(options.context, options.kubeconfig)
    labels = f"{RUN_LABEL}={options.run}" if options.run else RUN_LABEL
    names = remove(cluster, Waiter(), labels)
    print(f"removed {len(names)} namespaces: {', '.join(names)}" if names else "nothing to remove")
    return 0


def _add_reference(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    reference = commands.add_parser(
        "reference",
        help="install or uninstall the reference mesh",
        description="The reference mesh honours all of SMI: it is what the suite itself is tested with.",
    )
    actions = reference.add_subparsers(dest="action", required=True, metavar="ACTION")
    install = actions.add_parser("install", help="install it into a cluster, or bring it up to date")
    _cluster_options(install)
    install.add_argument(
        "--image", metavar="IMAGE", help="its image (default: smi-conformance/reference:<version>)"
    )
    install.add_argument("--crds-only", action="store_true", help="only the SMI CRDs, no mesh")
    install.set_defaults(function=_install)
    uninstall = actions.add_parser("uninstall", help="remove it with everything it made")
    _cluster_options(uninstall)
    uninstall.set_defaults(function=_uninstall)


def _install(options: argparse.Namespace) -> int:
    from reference import install

    client = KubernetesCluster(options.context, options.kubeconfig).api_client()
    try:
        install.install(client, image=options.image, crds_only=options.crds_only)
    except install.InstallError as error:
        raise ClusterError(str(error)) from error
    print("the SMI CRDs are installed" if options.crds_only else "the reference mesh is installed")
    return 0


def _uninstall(options: argparse.Namespace) -> int:
    from reference import install

    client = KubernetesCluster(options.context, options.kubeconfig).api_client()
    try:
        install.uninstall(client)
    except install.InstallError as error:
        raise ClusterError(str(error)) from error
    print("the reference mesh is removed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
