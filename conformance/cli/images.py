"""images: the images that a run pulls."""

from __future__ import annotations

import argparse

from conformance import profiles
from conformance.drive.manifests import STOCK_IMAGE


def arguments(command: argparse.ArgumentParser) -> None:
    """Describe the command, and add its arguments."""
    command.description = "Lists the images that a run pulls, one per line, to mirror them."
    command.add_argument(
        "--mesh",
        metavar="PROFILE",
        help="include the mesh's own images, if this profile is a reference mesh's",
    )
    command.set_defaults(function=_images)


def _images(options: argparse.Namespace) -> int:
    print(STOCK_IMAGE)
    if options.mesh and profiles.load(options.mesh).name.startswith("reference"):
        from smi_reference_mesh.install.image import default_image

        print(default_image())
    return 0
