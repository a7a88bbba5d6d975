"""Options that several commands share, and the exit codes in words."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager, closing
from functools import partial

from conformance.clusters import Cluster, selection
from conformance.clusters.client_configuration import DEFAULT_KUBECONFIG
from conformance.clusters.selection import ClusterSelection, DefaultCluster
from conformance.drive.cluster_rules import ClusterRules
from conformance.run import options


def cluster_options(parser: argparse.ArgumentParser, *, unless: DefaultCluster = "embedded") -> None:
    """Add the options that choose a cluster; ``unless`` is the default without any of them."""
    which = parser.add_argument_group(
        "choice of cluster",
        "Default: the cluster of KUBECONFIG, if set; in a pod without a kubeconfig the "
        + (
            "pod's own; else an embedded cluster, started for the command and removed with it."
            if unless == "embedded"
            else f"pod's own; else the current context of {DEFAULT_KUBECONFIG}."
        ),
    )
    for option in options.WHERE:
        option.add(which)
    if unless == "embedded":
        options.EMBEDDED.add(which)
    parser.set_defaults(unless=unless)


def where(typed: argparse.Namespace) -> ClusterSelection:
    """The chosen cluster. Raises ClusterError if the options name more than one."""
    return selection.select(
        typed.context,
        typed.kubeconfig,
        embedded=getattr(typed, "embedded", False),
        in_cluster=typed.in_cluster,
        default=typed.unless,
    )


def open_cluster(typed: argparse.Namespace) -> AbstractContextManager[Cluster]:
    """The chosen cluster, closed on exit. Raises ClusterError."""
    return closing(selection.open_cluster(where(typed), typed.mesh))


def rule_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for rules that the cluster imposes on all objects."""
    rules = parser.add_argument_group("rules of the cluster, for all objects created in it")
    for option in options.RULES:
        option.add(rules)


def cluster_rules(typed: argparse.Namespace) -> ClusterRules:
    """The rules given by the options."""
    return options.cluster_rules(partial(getattr, typed))


def mesh_options(parser: argparse.ArgumentParser, *, default: str | None = None) -> None:
    """Add the options for the mesh and the image of the sample workloads."""
    options.MESH.add(parser, required=default is None, default=default)
    options.IMAGE.add(parser)
