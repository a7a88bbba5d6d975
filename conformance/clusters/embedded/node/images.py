"""The programs of this machine that stand for images."""

from __future__ import annotations

import compileall
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import smi_reference_mesh
from conformance.clusters.embedded.interface import NodeError
from smi_reference_mesh.install.image import REPOSITORY

_SYSTEM = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PYTHON = "python"


def environment_of(image: str) -> Mapping[str, str]:
    """The environment of an image's containers.

    A stock Python image, from any registry, means this machine's Python; so does the image of the reference
    mesh, with that package. Raises NodeError for any other image: nothing is pulled.
    """
    repository = _repository(image)
    python = {"PATH": f"{Path(sys.executable).parent}:{_SYSTEM}", "HOME": "/", "LANG": "C.UTF-8"}
    if repository == REPOSITORY or repository.endswith(f"/{REPOSITORY}"):
        return {**python, "PYTHONPATH": os.pathsep.join(map(str, _search_path())), "PYTHONUNBUFFERED": "1"}
    if repository.rpartition("/")[2] == _PYTHON:
        return python
    raise NodeError(
        f"the embedded cluster has no images: {image} cannot run here, only python and {REPOSITORY}, which "
        "stand for this machine's Python; a real cluster runs others (make conformance CLUSTER=kind)"
    )


def reference_mesh_directory() -> Path:
    """The directory that contains the package of the reference mesh."""
    return Path(smi_reference_mesh.__path__[0]).resolve().parent


def prepare() -> None:
    """Compile the code that containers import, as the image's build does: for them it is read-only.

    If the code's directory is read-only for this process too, each container compiles it at its start.
    """
    compileall.compile_dir(str(reference_mesh_directory() / smi_reference_mesh.__name__), quiet=2)


def required_directories() -> list[Path]:
    """The directories of this machine that containers need, wherever they are."""
    return sorted({*_search_path(), *(Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix))})


def _search_path() -> list[Path]:
    search_path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return list(
        dict.fromkeys(
            (
                reference_mesh_directory(),
                *(Path(path).resolve() for path in search_path if os.path.isdir(path)),
            )
        )
    )


def _repository(image: str) -> str:
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"
