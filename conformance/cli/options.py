"""The commands of the command line, a module for those that belong together; here what they share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, TypeAlias

from conformance import profiles
from conformance.clusters import opening
from conformance.clusters.opening import Unless, Where
from conformance.clusters.reaching import USUAL
from conformance.drive.house_rules import HouseRules, RuleError, pair, registries, toleration
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


def rule_options(parser: argparse.ArgumentParser) -> None:
    """What the cluster asks of all that is created in it."""
    rules = parser.add_argument_group("rules of the cluster, for all that is created in it")

    def several(option: str, metavar: str, kind: Callable[[str], Any], text: str) -> None:
        rules.add_argument(option, action="append", default=[], type=_ruled(kind), metavar=metavar, help=text)

    rules.add_argument(
        "--image-pull-secret",
        type=_ruled(registries),
        metavar="FILE",
        help="Docker configuration, such as ~/.docker/config.json, with credentials for the image's registry",
    )
    several("--node-selector", "KEY=VALUE", pair, "only nodes with this label; may be repeated")
    several(
        "--toleration",
        "TAINT",
        toleration,
        "nodes with this taint as well: KEY[=VALUE][:EFFECT], or `all`; may be repeated",
    )
    several("--label", "KEY=VALUE", pair, "a label for every object; may be repeated")
    several("--annotation", "KEY=VALUE", pair, "an annotation for every object; may be repeated")
    several("--request", "RESOURCE=AMOUNT", pair, "requested for each container, such as cpu=50m")
    several("--limit", "RESOURCE=AMOUNT", pair, "the limit of each container, such as cpu=1")
    rules.add_argument(
        "--open-network",
        action="store_true",
        help="NetworkPolicies that allow the sample workloads all traffic, where others deny it by default",
    )


def house_rules(options: argparse.Namespace) -> HouseRules:
    """The rules that were typed."""
    return HouseRules(
        labels=dict(options.label),
        annotations=dict(options.annotation),
        node_selector=dict(options.node_selector),
        tolerations=tuple(options.toleration),
        requests=dict(options.request),
        limits=dict(options.limit),
        registries=options.image_pull_secret or "",
        open_network=options.open_network,
    )


def _ruled(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return kind(text)
        except RuleError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return read


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
