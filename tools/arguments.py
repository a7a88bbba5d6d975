"""Options that these programs share with `smi-conformance`."""

from __future__ import annotations

import argparse

from conformance.drive.manifests import STOCK_IMAGE


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser that knows where to run: in the embedded cluster, or in the one that a context names."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--context", help="context of the kubeconfig (without it: the embedded cluster)")
    made.add_argument("--embedded", action="store_true", help="the embedded cluster, as without --context")
    made.add_argument("--image", default=STOCK_IMAGE, help="image of the workloads (default: %(default)s)")
    return made


def where(options: argparse.Namespace) -> list[str]:
    """The same for `smi-conformance`."""
    context = ["--context", options.context] if options.context else ["--embedded"]
    return [*context, "--image", options.image]
