"""reference: install and uninstall the reference mesh."""

from __future__ import annotations

import argparse

from conformance.catalogue import GROUPS, OWN_GROUP, Api
from conformance.cli.options import cluster_options, where
from conformance.clusters import ClusterError, selection

_DEFINED: tuple[Api, ...] = ("TrafficSplit", "TrafficAccess", "TrafficSpecs")
"""APIs with CRDs; the mesh itself serves TrafficMetrics."""


def arguments(reference: argparse.ArgumentParser) -> None:
    """Describe the command, and add its arguments."""
    reference.description = "The reference mesh implements all of SMI; the suite itself is tested with it."
    actions = reference.add_subparsers(dest="action", required=True, metavar="ACTION")
    install = actions.add_parser("install", help="install or update it in a cluster")
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
        "clusters with those of TrafficSplit alone",
    )
    install.set_defaults(function=_install)
    uninstall = actions.add_parser("uninstall", help="remove it with all its objects")
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
