"""What images stand for, where there are none: programs of this machine. Pure, but for where they are."""

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
    """The environment that an image gives to its containers.

    A stock Python image, from whichever registry, is this machine's Python; so is the image of the reference
    mesh, which has that package as well. Raises NodeError for any other: nothing is pulled.
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


def code() -> Path:
    """The directory that holds the package of the reference mesh."""
    return Path(smi_reference_mesh.__path__[0]).resolve().parent


def prepare() -> None:
    """Compile what containers import, as the image's build does: they cannot, for their code is read-only.

    Where nobody may write beside the code it is compiled at each start of a container.
    """
    compileall.compile_dir(str(code() / smi_reference_mesh.__name__), quiet=2)


def needed() -> list[Path]:
    """Directories of this machine that containers cannot do without, wherever they are."""
    return sorted({*_search_path(), *(Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix))})


def _search_path() -> list[Path]:
    told = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return list(dict.fromkeys((code(), *(Path(path).resolve() for path in told if os.path.isdir(path)))))


def _repository(image: str) -> str:
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"
