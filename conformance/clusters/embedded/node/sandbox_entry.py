"""Run as `python -m … COMMAND…`: runs a command in namespaces of its own.

The command ends when its standard input does, or rather that of this process: whoever starts it holds the
other end of a pipe, and when that process is gone, however it went, the kernel closes the pipe. Three
processes: this one waits for either to end; its child is the first process of the namespaces, so that when it
dies the kernel kills and removes all that is in them; the grandchild is the command. Standard library only,
to start quickly.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Sequence

from conformance.clusters.embedded.node import kernel

_ALL = kernel.NEW_MOUNTS | kernel.NEW_NAME | kernel.NEW_IPC | kernel.NEW_PROCESSES | kernel.NEW_NETWORK
_SCRATCH = ("/dev/shm", "/mnt", "/media", "/srv", "/run", "/tmp")  # noqa: S108 - mounted over, not written to
REFUSED = 125
"""The exit status when the namespaces cannot be made; the reason is on standard error."""


def main(arguments: Sequence[str]) -> int:
    """Run the command and return its exit status, REFUSED if there are no namespaces for it."""
    # Not to be stopped by what is meant for the runner: it decides, by the pipe.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        _leave()
        here, there = os.pipe()
        first = os.fork()
        if first == 0:
            os.close(there)
            _first(arguments, here)
    except OSError as error:
        return _refused(error)
    os.close(here)
    os.write(there, b"!")
    return _follow(first)


def _refused(error: OSError) -> int:
    where = f"{error.filename}: " if error.filename else ""
    print(f"{where}{error.strerror}", file=sys.stderr, flush=True)
    return REFUSED


def _leave() -> None:
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        kernel.unshare(_ALL)
        return
    kernel.unshare(kernel.NEW_USERS | _ALL)
    for path, text in (
        ("/proc/self/setgroups", "deny"),
        ("/proc/self/uid_map", f"0 {user} 1"),
        ("/proc/self/gid_map", f"0 {group} 1"),
    ):
        with open(path, "w") as file:
            file.write(text)


def _follow(first: int) -> int:
    watched = select.poll()
    watched.register(0, select.POLLIN | select.POLLHUP)
    watched.register(os.pidfd_open(first), select.POLLIN)
    if any(descriptor == 0 for descriptor, _ in watched.poll()):
        os.kill(first, signal.SIGKILL)
    # Only once all other processes of the namespace are gone is its first one.
    _, status = os.waitpid(first, 0)
    return _exit_code(status)


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _first(arguments: Sequence[str], begun: int) -> None:
    """The first process of the namespaces: prepares, starts the command, and reaps what is orphaned."""
    try:
        kernel.die_with_parent()
        # A parent that died before the line above will not be noticed any more, but by this.
        if not os.read(begun, 1):
            os._exit(REFUSED)
        _prepare()
        command = os.fork()
    except OSError as error:
        os._exit(_refused(error))
    if command == 0:
        _become(arguments)
    os.closerange(0, 3)
    while True:
        ended, status = os.wait()
        if ended == command:
            os._exit(_exit_code(status))


def _prepare() -> None:
    kernel.mount("", "/", "", kernel.RECURSIVE | kernel.PRIVATE)
    kernel.mount("proc", "/proc", "proc", kernel.NO_SUID | kernel.NO_DEVICES | kernel.NO_EXEC)
    scratch = scratch_directory()
    kernel.mount("tmpfs", scratch, "tmpfs", kernel.NO_SUID, "mode=700")
    # All temporary files go where they vanish with the namespace.
    os.environ["TMPDIR"] = scratch


def scratch_directory() -> str:
    """A directory that is there on every machine and from which nothing is needed. Raises OSError."""
    needed = [
        os.path.realpath(path) for path in (*sys.path, sys.prefix, sys.base_prefix, os.getcwd()) if path
    ]
    for path in _SCRATCH:
        if os.path.isdir(path) and not any(each == path or each.startswith(f"{path}/") for each in needed):
            return path
    raise OSError(2, f"none of {', '.join(_SCRATCH)} is a directory that can be mounted over")


def _become(arguments: Sequence[str]) -> None:
    try:
        silence = os.open(os.devnull, os.O_RDONLY)
        os.dup2(silence, 0)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        os.execvp(arguments[0], list(arguments))  # noqa: S606 - arguments, no shell
    except OSError as error:
        os._exit(_refused(error))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
