"""reference: install and uninstall the reference mesh."""

from __future__ import annotations

import argparse

from conformance.catalogue import GROUPS, OWN_GROUP, Api
from conformance.cli.options import Commands, cluster_options, where
from conformance.clusters import ClusterError, selection

_DEFINED: tuple[Api, ...] = ("TrafficSplit", "TrafficAccess", "TrafficSpecs")
"""What CRDs define; TrafficMetrics is served by the mesh itself."""


def add(commands: Commands) -> None:
    reference = commands.add_parser(
        "reference",
        help="install or uninstall the reference mesh",
        description="The reference mesh honours all of SMI: it is what the suite itself is tested with.",
    )
    actions = reference.add_subparsers(dest="action", required=True, metavar="ACTION")
    install = actions.add_parser("install", help="install it into a cluster, or bring it up to date")
    cluster_options(install, unless="current")
    install.add_argument(
        "--image", metavar="IMAGE", help="its image (default: smi-conformance/reference:<version>)"
    )
    install.add_argument("--crds-only", action="store_true", help="only the SMI CRDs, no mesh")
    install.add_argument(
        "--api",
        action="append",
        choices=_DEFINED,
        help="only the CRDs of this API; may be repeated (default: all). The profile reference-split is for "
        "a cluster with those of TrafficSplit alone",
    )
    install.set_defaults(function=_install)
    uninstall = actions.add_parser("uninstall", help="remove it with everything it made")
    cluster_options(uninstall, unless="current")
    uninstall.set_defaults(function=_uninstall)


def _install(options: argparse.Namespace) -> int:
    from conformance.campaign import switching
    from smi_reference_mesh.install import installer

    cluster = selection.open_existing(where(options))
    switching.switch_all_off(cluster)
    client = cluster.api_client()
    groups = None if options.api is None else [GROUPS[OWN_GROUP[api]] for api in options.api]
    try:
        installer.install(client, image=options.image, crds_only=options.crds_only, groups=groups)
    except installer.InstallError as error:
        raise ClusterError(str(error)) from error
    print("the SMI CRDs are installed" if options.crds_only else "the reference mesh is installed")
    return 0


def _uninstall(options: argparse.Namespace) -> int:
    from smi_reference_mesh.install import installer

    client = selection.open_existing(where(options)).api_client()
    try:
        installer.uninstall(client)
    except installer.InstallError as error:
        raise ClusterError(str(error)) from error
    print("the reference mesh is removed")
    return 0
