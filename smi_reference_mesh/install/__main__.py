"""`python -m smi_reference_mesh.install [--uninstall]`: into the kubeconfig's current context."""

from __future__ import annotations

import argparse

from kubernetes.config import new_client_from_config

from smi_reference_mesh.install import installer


def main() -> None:
    """Installs or removes the mesh."""
    parser = argparse.ArgumentParser(
        prog="python -m smi_reference_mesh.install", description=installer.__doc__
    )
    parser.add_argument("--context", help="context of the kubeconfig (default: the current one)")
    parser.add_argument("--image", help="image of the mesh (default: the one built from this code)")
    parser.add_argument("--window", type=float, default=10.0, help="window of the metrics API in seconds")
    parser.add_argument("--crds-only", action="store_true", help="only the custom resource definitions")
    parser.add_argument("--uninstall", action="store_true", help="remove the mesh and the definitions")
    options = parser.parse_args()
    with new_client_from_config(context=options.context) as api_client:
        if options.uninstall:
            installer.uninstall(api_client)
        else:
            installer.install(
                api_client, image=options.image, window_s=options.window, crds_only=options.crds_only
            )


if __name__ == "__main__":
    main()
