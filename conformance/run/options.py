"""The options of a run: one table, for the command line and for pytest."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from conformance import catalogue, profiles
from conformance.clusters import selection
from conformance.clusters.client_configuration import DEFAULT_KUBECONFIG
from conformance.clusters.selection import ClusterSelection
from conformance.drive.cluster_rules import (
    NO_RULES,
    ClusterRules,
    RuleError,
    parse_pair,
    parse_toleration,
    read_registries,
)
from conformance.drive.manifests import STOCK_IMAGE
from conformance.report import store

PREFIX = "smi-"
"""The prefix of the options in pytest, where other plugins may have options of the same names."""


class Parser(Protocol):
    """An argparse parser or argument group."""

    def add_argument(self, *flags: str, **settings: Any) -> Any: ...


class PytestGroup(Protocol):
    """A pytest option group."""

    def addoption(self, *flags: str, **settings: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its flags on the command line; pytest has the last flag, with a prefix."""

    flags: tuple[str, ...]
    settings: Mapping[str, Any]
    in_pytest: Mapping[str, Any] = field(default_factory=dict)
    """The settings that differ in pytest; None removes a setting."""

    @property
    def name(self) -> str:
        """The name of its value."""
        return self.flags[-1].lstrip("-").replace("-", "_")

    def add(self, parser: Parser, **settings: Any) -> None:
        """Add the option to the command line; ``settings`` override its own."""
        parser.add_argument(*self.flags, **{**self.settings, **settings})

    def add_to_pytest(self, group: PytestGroup) -> None:
        """Add the option to pytest."""
        merged = {**self.settings, **self.in_pytest}
        group.addoption(
            f"--{PREFIX}{self.flags[-1].removeprefix('--')}",
            dest=_dest(self.name),
            **{key: value for key, value in merged.items() if value is not None},
        )


def _dest(name: str) -> str:
    return f"{PREFIX}{name}".replace("-", "_")


def duration_s(text: str) -> float:
    """Seconds of a duration in Go's notation, such as 90s, 20m or 1h30m; a bare number is in seconds.

    Raises argparse.ArgumentTypeError for other text and for zero.
    """
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?", text)
    hours, minutes, rest = found.groups() if found else (None, None, None)
    total = 3600 * float(hours or 0) + 60 * float(minutes or 0) + float(rest or 0)
    if not total:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration such as 90s, 20m or 1h30m")
    return total


def _cluster_rule(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return kind(text)
        except RuleError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return read


def _option(*flags: str, in_pytest: Mapping[str, Any] | None = None, **settings: Any) -> Option:
    return Option(flags, settings, in_pytest or {})


def _switch(flag: str, text: str) -> Option:
    return _option(flag, action="store_true", help=text)


def _repeatable(flag: str, metavar: str, kind: Callable[[str], Any], text: str) -> Option:
    return _option(flag, action="append", default=[], type=_cluster_rule(kind), metavar=metavar, help=text)


MESH = _option(
    "--mesh",
    metavar="PROFILE",
    help=f"the mesh's profile: one of {', '.join(profiles.names())}, or a path such as ./my-mesh.yaml",
)
IMAGE = _option(
    "--image",
    default=STOCK_IMAGE,
    metavar="IMAGE",
    help=f"image of the sample workloads, any with Python 3.9 or later (default: {STOCK_IMAGE})",
)
WHERE = (
    _option("--context", metavar="NAME", help="context of the kubeconfig"),
    _option(
        "--kubeconfig", metavar="FILE", help=f"the kubeconfig (default: KUBECONFIG or {DEFAULT_KUBECONFIG})"
    ),
    _switch("--in-cluster", "the cluster of this pod, with the permissions of the pod's ServiceAccount"),
)
EMBEDDED = _switch("--embedded", "the embedded cluster")
RULES = (
    _option(
        "--image-pull-secret",
        type=_cluster_rule(read_registries),
        metavar="FILE",
        help="Docker configuration, such as ~/.docker/config.json, with credentials for the image's registry",
    ),
    _repeatable("--node-selector", "KEY=VALUE", parse_pair, "only nodes with this label; may be repeated"),
    _repeatable(
        "--toleration",
        "TAINT",
        parse_toleration,
        "nodes with this taint as well: KEY[=VALUE][:EFFECT], or `all`; may be repeated",
    ),
    _repeatable("--label", "KEY=VALUE", parse_pair, "a label for every object; may be repeated"),
    _repeatable("--annotation", "KEY=VALUE", parse_pair, "an annotation for every object; may be repeated"),
    _repeatable("--request", "RESOURCE=AMOUNT", parse_pair, "requested for each container, such as cpu=50m"),
    _repeatable("--limit", "RESOURCE=AMOUNT", parse_pair, "the limit of each container, such as cpu=1"),
    _switch(
        "--open-network",
        "NetworkPolicies that allow the sample workloads all traffic, if others deny it by default",
    ),
)
SELECTION = (
    _option(
        "--level",
        action="append",
        default=[],
        choices=catalogue.LEVELS,
        help="only this level; may be repeated",
    ),
    _option(
        "--requirement",
        nargs="+",
        action="extend",
        default=[],
        metavar="ID",
        help="only these requirements",
        # In pytest, paths of tests may follow.
        in_pytest={"nargs": None, "action": "append", "help": "only this requirement; may be repeated"},
    ),
    _option(
        "--versions",
        default="newest",
        metavar="WHICH",
        help="API versions to test: newest, all, or a list such as split=v1alpha2,specs=v1alpha3 "
        "(default: newest)",
    ),
    _option(
        "--mesh-version",
        metavar="VERSION",
        help="the mesh's version, for the report (default: the profile's, or the image of its control plane)",
    ),
)
REPORTING = (
    _option(
        "--reports",
        default="reports",
        metavar="DIR",
        help="the directory of the reports, each in its own subdirectory (default: reports)",
    ),
    _option("-o", "--output", metavar="DIR", help="write the report into this directory itself"),
    _option("--junit", metavar="FILE", help="write the JUnit file also to this path"),
    _option(
        "--timeout",
        type=duration_s,
        metavar="TIME",
        help="end the run after this time, as Ctrl-C does; such as 90s, 20m or 1h30m",
    ),
)
EXECUTION = (
    _switch(
        "--one-by-one",
        "drive one scenario at a time, even if scenarios use different namespaces",
    ),
    _switch("--keep", "leave the arena in the cluster after the run"),
)
TABLE = (MESH, *WHERE, EMBEDDED, IMAGE, *RULES, *SELECTION, *REPORTING, *EXECUTION)
"""All options of a run."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of a run. ``timeout_s`` is None for a run without a timeout."""

    mesh: str
    where: ClusterSelection
    image: str = STOCK_IMAGE
    rules: ClusterRules = NO_RULES
    levels: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    versions: str = "newest"
    mesh_version: str = ""
    reports: str = "reports"
    output: str | None = None
    junit: Path | None = None
    timeout_s: float | None = None
    one_by_one: bool = False
    keep: bool = False

    def directory(self, run: str) -> Path:
        """The directory of a run's report."""
        return store.report_directory(self.output, self.reports, run)


def cluster_rules(value: Callable[[str], Any]) -> ClusterRules:
    """The cluster's rules, from the values of options; ``value`` returns the value of a name."""
    return ClusterRules(
        labels=dict(value("label")),
        annotations=dict(value("annotation")),
        node_selector=dict(value("node_selector")),
        tolerations=tuple(value("toleration")),
        requests=dict(value("request")),
        limits=dict(value("limit")),
        registries=value("image_pull_secret") or "",
        open_network=value("open_network"),
    )


def read(value: Callable[[str], Any]) -> RunOptions:
    """The options of a run, from their values by name. Raises ClusterError for more than one cluster."""
    return RunOptions(
        mesh=value("mesh"),
        where=selection.select(
            value("context"),
            value("kubeconfig"),
            embedded=value("embedded"),
            in_cluster=value("in_cluster"),
        ),
        image=value("image"),
        rules=cluster_rules(value),
        levels=tuple(value("level")),
        requirements=tuple(value("requirement")),
        versions=value("versions"),
        mesh_version=value("mesh_version") or "",
        reports=value("reports"),
        output=value("output"),
        junit=Path(value("junit")) if value("junit") else None,
        timeout_s=value("timeout"),
        one_by_one=value("one_by_one"),
        keep=value("keep"),
    )


def from_pytest(getoption: Callable[[str], Any]) -> RunOptions:
    """The options of a run, from pytest's options."""
    return read(lambda name: getoption(_dest(name)))
