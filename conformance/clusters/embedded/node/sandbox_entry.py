"""Run as `python -m … COMMAND…`: runs a command in its own namespaces.

The command ends when the standard input of this process does: its starter holds the other end of the pipe,
and when that process is gone, for whatever reason, the kernel closes the pipe. Three processes: this process
waits for either end; its child is the first process of the namespaces, whose death makes the kernel kill and
remove everything in them; the grandchild is the command. Standard library only, to start quickly.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Sequence

from conformance.clusters.embedded.node import kernel

_ALL = (
    kernel.CLONE_NEWNS | kernel.CLONE_NEWUTS | kernel.CLONE_NEWIPC | kernel.CLONE_NEWPID | kernel.CLONE_NEWNET
)
_SCRATCH = ("/dev/shm", "/mnt", "/media", "/srv", "/run", "/tmp")  # noqa: S108 - mounted over, not written to
NAMESPACES_REFUSED = 125
"""The exit status if the namespaces cannot be created; the reason is on standard error."""


def main(arguments: Sequence[str]) -> int:
    """Run the command and return its exit status, or NAMESPACES_REFUSED."""
    # Ignore the terminal's signals: the runner decides about the end, by the pipe.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        _unshare()
        here, there = os.pipe()
        first = os.fork()
        if first == 0:
            os.close(there)
            _run_init(arguments, here)
    except OSError as error:
        return _refused(error)
    os.close(here)
    os.write(there, b"!")
    return _wait(first)


def _refused(error: OSError) -> int:
    where = f"{error.filename}: " if error.filename else ""
    print(f"{where}{error.strerror}", file=sys.stderr, flush=True)
    return NAMESPACES_REFUSED


def _unshare() -> None:
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        kernel.unshare(_ALL)
        return
    kernel.unshare(kernel.CLONE_NEWUSER | _ALL)
    for path, text in (
        ("/proc/self/setgroups", "deny"),
        ("/proc/self/uid_map", f"0 {user} 1"),
        ("/proc/self/gid_map", f"0 {group} 1"),
    ):
        with open(path, "w") as file:
            file.write(text)


def _wait(first: int) -> int:
    watched = select.poll()
    watched.register(0, select.POLLIN | select.POLLHUP)
    watched.register(os.pidfd_open(first), select.POLLIN)
    if any(descriptor == 0 for descriptor, _ in watched.poll()):
        os.kill(first, signal.SIGKILL)
    # The first process of a namespace ends only after all others.
    _, status = os.waitpid(first, 0)
    return _exit_code(status)


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _run_init(arguments: Sequence[str], begun: int) -> None:
    """The first process of the namespaces: mounts, starts the command, and reaps orphans."""
    try:
        kernel.die_with_parent()
        # The only way to notice a parent that died before the line above.
        if not os.read(begun, 1):
            os._exit(NAMESPACES_REFUSED)
        _prepare()
        command = os.fork()
    except OSError as error:
        os._exit(_refused(error))
    if command == 0:
        _exec(arguments)
    os.closerange(0, 3)
    while True:
        ended, status = os.wait()
        if ended == command:
            os._exit(_exit_code(status))


def _prepare() -> None:
    kernel.mount("", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("proc", "/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
    scratch = scratch_directory()
    kernel.mount("tmpfs", scratch, "tmpfs", kernel.MS_NOSUID, "mode=700")
    # Temporary files end with the namespace.
    os.environ["TMPDIR"] = scratch


def scratch_directory() -> str:
    """An existing directory whose content is not needed. Raises OSError."""
    needed = [
        os.path.realpath(path) for path in (*sys.path, sys.prefix, sys.base_prefix, os.getcwd()) if path
    ]
    for path in _SCRATCH:
        if os.path.isdir(path) and not any(each == path or each.startswith(f"{path}/") for each in needed):
            return path
    raise OSError(2, f"none of {', '.join(_SCRATCH)} is a directory that can be mounted over")


def _exec(arguments: Sequence[str]) -> None:
    try:
        devnull = os.open(os.devnull, os.O_RDONLY)
        os.dup2(devnull, 0)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        os.execvp(arguments[0], list(arguments))  # noqa: S606 - arguments, no shell
    except OSError as error:
        os._exit(_refused(error))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
