"""The commands of the command line, a module for those that belong together; here what they share."""

from __future__ import annotations

import argparse
from typing import TypeAlias

from conformance import profiles
from conformance.clusters import opening
from conformance.clusters.opening import Unless, Where
from conformance.clusters.reaching import USUAL
from conformance.drive.manifests import STOCK_IMAGE

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

EXIT_CODES = """exit code:
  0  every claimed core requirement that was selected passed
  1  a core requirement failed
  2  inconclusive, nothing selected, or input that cannot be used
"""


def cluster_options(parser: argparse.ArgumentParser, *, unless: Unless = "embedded") -> None:
    """Which cluster; ``unless`` is what is meant where none is named."""
    which = parser.add_argument_group(
        "which cluster",
        "Without any of these: that of KUBECONFIG, where this is set; in a pod without a kubeconfig the "
        + (
            "pod's own; else the embedded one, which is made for the command and ends with it."
            if unless == "embedded"
            else f"pod's own; else the current one of {USUAL}."
        ),
    )
    which.add_argument("--context", metavar="NAME", help="context of the kubeconfig")
    which.add_argument(
        "--kubeconfig", metavar="FILE", help=f"the kubeconfig (default: KUBECONFIG or {USUAL})"
    )
    which.add_argument(
        "--in-cluster",
        action="store_true",
        help="the cluster that this is a pod of, with the rights of the pod's ServiceAccount",
    )
    if unless == "embedded":
        which.add_argument("--embedded", action="store_true", help="the embedded cluster")
    parser.set_defaults(unless=unless)


def where(options: argparse.Namespace) -> Where:
    """The cluster that was asked for. Raises ClusterError where that was more than one."""
    return opening.chosen(
        options.context,
        options.kubeconfig,
        embedded=getattr(options, "embedded", False),
        in_cluster=options.in_cluster,
        unless=options.unless,
    )


def mesh_options(parser: argparse.ArgumentParser, *, default: str | None = None) -> None:
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
