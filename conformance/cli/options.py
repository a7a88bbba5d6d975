"""What the commands share: options of clusters and meshes, and the exit codes in words."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TypeAlias

from conformance.clusters import opening
from conformance.clusters.opening import Unless, Where
from conformance.clusters.reaching import USUAL
from conformance.drive.cluster_rules import ClusterRules
from conformance.run import options

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
    for option in options.WHERE:
        option.add(which)
    if unless == "embedded":
        options.EMBEDDED.add(which)
    parser.set_defaults(unless=unless)


def where(typed: argparse.Namespace) -> Where:
    """The cluster that was asked for. Raises ClusterError where that was more than one."""
    return opening.chosen(
        typed.context,
        typed.kubeconfig,
        embedded=getattr(typed, "embedded", False),
        in_cluster=typed.in_cluster,
        unless=typed.unless,
    )


def rule_options(parser: argparse.ArgumentParser) -> None:
    """What the cluster asks of all that is created in it."""
    rules = parser.add_argument_group("rules of the cluster, for all that is created in it")
    for option in options.RULES:
        option.add(rules)


def cluster_rules(typed: argparse.Namespace) -> ClusterRules:
    """The rules that were typed."""
    return options.cluster_rules(partial(getattr, typed))


def mesh_options(parser: argparse.ArgumentParser, *, default: str | None = None) -> None:
    """Which mesh, and the image of the sample workloads."""
    options.MESH.add(parser, required=default is None, default=default)
    options.IMAGE.add(parser)
