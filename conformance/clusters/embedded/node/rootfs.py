"""The root directory of containers: this machine's, read-only, with a few directories of its own.

The template is built once, on the node's temporary file system. Each container gets it as its root, with its
volumes mounted in it: unlike the machine's root, it is writable for mount points. It has its own host names
and resolver configuration, so that lookups of unknown names fail at once.
"""

from __future__ import annotations

import os
from pathlib import Path

from conformance.clusters.embedded.interface import NodeError
from conformance.clusters.embedded.node import images, kernel
from conformance.clusters.embedded.node.spawner_client import Mount

POD_FILES = "/run/pod"
"""The mount point of the files that all containers of a pod share: `hosts`, `hostname`."""

_CONTAINER_DIRECTORIES = ("proc", "sys", "dev", "tmp", "run", "etc", "lost+found")
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_STREAMS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}
_ETC = "/.etc"
_LOOKUP = {
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "host.conf": "multi on\n",
    # For resolvers that ignore nsswitch.conf: no server listens there.
    "resolv.conf": "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
}
_OF_POD = ("hosts", "hostname")


def make_template(root: Path) -> list[Mount]:
    """Build the template; returns the mounts that each container needs besides. Raises NodeError."""
    try:
        root.mkdir(parents=True)
        _bind_machine(root)
        _make_devices(root / "dev")
        _make_etc(root)
        for name in ("proc", "tmp", "run/pod", ".old"):
            (root / name).mkdir(parents=True)
        return _required_mounts()
    except OSError as error:
        raise NodeError(f"cannot make a root directory for containers: {error.strerror}") from error


def _bind_machine(root: Path) -> None:
    inside = root.parts[1]
    for entry in os.scandir("/"):
        target = root / entry.name
        if entry.is_symlink():
            target.symlink_to(os.readlink(entry.path))
        elif entry.is_dir() and entry.name not in (*_CONTAINER_DIRECTORIES, inside):
            target.mkdir()
            kernel.bind(entry.path, str(target))
            kernel.make_read_only(str(target), recursive=True)


def _make_devices(directory: Path) -> None:
    directory.mkdir()
    (directory / "shm").mkdir()
    for name in _DEVICES:
        (directory / name).touch()
        kernel.bind(f"/dev/{name}", str(directory / name))
    for name, target in _STREAMS.items():
        (directory / name).symlink_to(target)


def _make_etc(root: Path) -> None:
    """The machine's /etc, with its own host names and resolver configuration."""
    (root / "etc").mkdir()
    machine = root / _ETC[1:]
    machine.mkdir()
    kernel.bind("/etc", str(machine))
    kernel.make_read_only(str(machine), recursive=True)
    for entry in os.scandir("/etc"):
        if entry.name not in (*_LOOKUP, *_OF_POD):
            (root / "etc" / entry.name).symlink_to(f"{_ETC}/{entry.name}")
    for name, text in _LOOKUP.items():
        (root / "etc" / name).write_text(text)
    for name in _OF_POD:
        (root / "etc" / name).symlink_to(f"{POD_FILES}/{name}")


def _required_mounts() -> list[Mount]:
    """Mounts of required directories that are hidden by the containers' own directories."""
    return [
        Mount(str(path), str(path))
        for path in images.required_directories()
        if path.parts[1] in _CONTAINER_DIRECTORIES
    ]
