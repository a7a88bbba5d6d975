"""The commands of the command line, a module for those that belong together; here what they share."""

from __future__ import annotations

import argparse
from typing import TypeAlias

from conformance import profiles
from conformance.drive.manifests import STOCK_IMAGE

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

EXIT_CODES = """exit code:
  0  every claimed core requirement that was selected passed
  1  a core requirement failed
  2  inconclusive, nothing selected, or input that cannot be used
"""


EMBEDDED = "without --context and --kubeconfig: the embedded cluster"
CURRENT = "default: the current one"


def cluster_options(parser: argparse.ArgumentParser, *, without: str = EMBEDDED) -> None:
    """Which cluster; ``without`` says what it is where none is named."""
    parser.add_argument("--context", metavar="NAME", help=f"context of the kubeconfig ({without})")
    parser.add_argument(
        "--kubeconfig",
        metavar="FILE",
        help="its kubeconfig (default: KUBECONFIG or ~/.kube/config)",
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
