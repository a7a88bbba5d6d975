"""The root directory of containers: this machine's, read-only, with a few directories of its own in it.

The template is made once, on the node's temporary file system. Each container gets it as its root, with its
volumes mounted into it: directories to mount them on can be made in it although the machine's root cannot be
written to. Names and their lookup are the node's own, so that what it does not know is unknown at once.
"""

from __future__ import annotations

import os
from pathlib import Path

from conformance.clusters.embedded.interface import NodeError
from conformance.clusters.embedded.node import images, kernel
from conformance.clusters.embedded.node.spawner_client import Mount

POD_FILES = "/run/pod"
"""Where the files that all containers of a pod share are mounted: `hosts`, `hostname`."""

_OWN = ("proc", "sys", "dev", "tmp", "run", "etc", "lost+found")
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_STREAMS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}
_ETC = "/.etc"
_LOOKUP = {
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "host.conf": "multi on\n",
    # For those that do not look at the above: nobody listens there.
    "resolv.conf": "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
}
_OF_POD = ("hosts", "hostname")


def make_template(root: Path) -> list[Mount]:
    """Make the template; returns what is to be mounted into each container besides. Raises NodeError."""
    try:
        root.mkdir(parents=True)
        _bind_machine(root)
        _make_devices(root / "dev")
        _make_etc(root)
        for name in ("proc", "tmp", "run/pod", ".old"):
            (root / name).mkdir(parents=True)
        return _hidden()
    except OSError as error:
        raise NodeError(f"cannot make a root directory for containers: {error.strerror}") from error


def _bind_machine(root: Path) -> None:
    inside = root.parts[1]
    for entry in os.scandir("/"):
        target = root / entry.name
        if entry.is_symlink():
            target.symlink_to(os.readlink(entry.path))
        elif entry.is_dir() and entry.name not in (*_OWN, inside):
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
    """/etc as the machine has it, but for what is about names."""
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


def _hidden() -> list[Mount]:
    """What is needed although it lies in a directory that containers have of their own."""
    return [Mount(str(path), str(path)) for path in images.needed() if path.parts[1] in _OWN]
