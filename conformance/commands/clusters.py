"""doctor, faults, shell and clean: what is done to a cluster besides a run."""

from __future__ import annotations

import argparse

from conformance import plugin, profiles, shell
from conformance.clusters import ClusterError, opening
from conformance.commands import Commands, cluster_options, mesh_options
from conformance.doctor import examine, preflight
from conformance.drive.arena import remove
from conformance.drive.manifests import RUN_LABEL
from conformance.drive.wait import Waiter
from conformance.session import Session


def add(commands: Commands) -> None:
    doctor = commands.add_parser(
        "doctor",
        help="what is served, joined, reachable, missing; each with its remedy",
        description="Examines a cluster and its mesh before a run; two pods are created and removed again.",
    )
    cluster_options(doctor)
    mesh_options(doctor)
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
    cluster_options(faults)
    mesh_options(faults, default="reference")
    faults.add_argument(
        "--fault", nargs="+", action="extend", default=[], metavar="ID", help="only these faults"
    )
    faults.add_argument(
        "--also",
        metavar="TEXT",
        help="scenarios whose file has this in its path as well (traffic_split), to see what else breaks",
    )
    faults.add_argument("--format", choices=("text", "json"), default="text", help="(default: %(default)s)")
    faults.set_defaults(function=_faults)
    looking = commands.add_parser(
        "shell",
        help="an arena that stays up, and a prompt to look into it",
        description="Makes an arena and opens a prompt: send traffic, apply manifests, run commands in pods, "
        "read logs and what a proxy has. The arena is removed when the prompt is left.",
    )
    cluster_options(looking)
    mesh_options(looking, default="reference")
    looking.set_defaults(function=_shell)
    clean = commands.add_parser(
        "clean",
        help="remove what runs left behind, for instance after kill -9",
        description=f"Removes everything in the cluster that carries the label {RUN_LABEL}.",
    )
    cluster_options(clean)
    clean.add_argument("--run", metavar="ID", help="only what this run left behind")
    clean.set_defaults(function=_clean)


def _doctor(options: argparse.Namespace) -> int:
    profile = profiles.load(options.mesh)
    session = Session(profile, opening.open_cluster(options.context, options.kubeconfig), image=options.image)
    wrong = 0
    for check in examine(session):
        wrong += not check.ok
        print(f"{'ok     ' if check.ok else 'MISSING'} {check.what:<10} {check.seen}", flush=True)
        if check.remedy:
            print(f"{'':8}{'':<10} → {check.remedy}")
    return plugin.UNUSABLE if wrong else 0


def _faults(options: argparse.Namespace) -> int:
    from conformance import campaign

    cluster = opening.open_cluster(options.context, options.kubeconfig)
    return campaign.main(
        cluster,
        profiles.load(options.mesh),
        options.image,
        options.fault,
        as_json=options.format == "json",
        also=options.also,
    )


def _shell(options: argparse.Namespace) -> int:
    profile = profiles.load(options.mesh)
    cluster = opening.open_cluster(options.context, options.kubeconfig)
    session = Session(profile, cluster, image=options.image)
    problem = preflight(session, [group for group, claimed in profile.claims.by_group().items() if claimed])
    if problem is not None:
        raise ClusterError(str(problem))
    shell.run(session)
    return 0


def _clean(options: argparse.Namespace) -> int:
    cluster = opening.open_cluster(options.context, options.kubeconfig)
    labels = f"{RUN_LABEL}={options.run}" if options.run else RUN_LABEL
    names = remove(cluster, Waiter(), labels)
    print(f"removed {len(names)} namespaces: {', '.join(names)}" if names else "nothing to remove")
    return 0
