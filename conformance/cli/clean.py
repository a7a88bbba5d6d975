"""clean: remove what interrupted runs left in a cluster."""

from __future__ import annotations

import argparse
from contextlib import closing

from conformance.cli.options import cluster_options, where
from conformance.clusters import selection
from conformance.drive.arena import remove
from conformance.drive.manifests import RUN_LABEL
from conformance.drive.wait import Waiter
from conformance.judge.phrasing import pluralize


def arguments(command: argparse.ArgumentParser) -> None:
    """Describe the command, and add its arguments."""
    command.description = (
        f"Removes the namespaces with the label {RUN_LABEL} and their contents. Embedded "
        "clusters need no cleaning: the kernel removes them with the run."
    )
    cluster_options(command, unless="current")
    command.add_argument("--run", metavar="ID", help="only the namespaces of this run")
    command.set_defaults(function=_clean)


def _clean(options: argparse.Namespace) -> int:
    labels = f"{RUN_LABEL}={options.run}" if options.run else RUN_LABEL
    with closing(selection.open_existing(where(options))) as cluster:
        names = remove(cluster, Waiter(), labels)
    removed = (
        f"removed {pluralize(len(names), 'namespace')}: {', '.join(names)}" if names else "nothing to remove"
    )
    print(f"cluster {cluster.name}: {removed}")
    return 0
