"""The calls of Linux that namespaces are made with, which Python 3.11 does not have.

Standard library only and nothing of the package's own, for the processes that use it fork often.
"""

from __future__ import annotations

import ctypes
import os
import signal

NEW_MOUNTS = 0x00020000
NEW_NAME = 0x04000000
NEW_IPC = 0x08000000
NEW_USERS = 0x10000000
NEW_PROCESSES = 0x20000000
NEW_NETWORK = 0x40000000

READ_ONLY = 0x1
NO_SUID = 0x2
NO_DEVICES = 0x4
NO_EXEC = 0x8
BIND = 0x1000
RECURSIVE = 0x4000
PRIVATE = 0x40000

_DETACH = 2
_SET_DEATH_SIGNAL = 1
_SET_NO_NEW_PRIVILEGES = 38
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
# The numbers of these two are the same on all architectures on which Envoy is to be had.
_MOUNT_SETATTR = 442
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

_LIBRARY = ctypes.CDLL(None, use_errno=True)


class _MountAttributes(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def _checked(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Leave namespaces for new ones. Raises OSError, as all functions in here."""
    _checked(_LIBRARY.unshare(flags), "unshare")


def enter(descriptor: int, kind: int) -> None:
    """Enter a namespace."""
    _checked(_LIBRARY.setns(descriptor, kind), "setns")


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    """Mount a file system, or with BIND a part of one that is mounted already."""
    arguments = (source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode())
    _checked(_LIBRARY.mount(*arguments), f"mount {kind or source} at {target}")


def bind(source: str, target: str) -> None:
    """Let a file or directory, with what is mounted in it, appear elsewhere as well."""
    mount(source, target, "", BIND | RECURSIVE)


def make_read_only(target: str, *, recursive: bool) -> None:
    """Refuse writing through a mount, and through all in it if recursive."""
    attributes = _MountAttributes(attr_set=READ_ONLY)
    path = target.encode()
    flags = _AT_RECURSIVE if recursive else 0
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    result = _LIBRARY.syscall(_MOUNT_SETATTR, _AT_FDCWD, path, flags, ctypes.byref(attributes), size)
    _checked(result, f"make {target} read-only")


def unmount(target: str) -> None:
    """Take a mount away, though it may be in use."""
    _checked(_LIBRARY.umount2(target.encode(), _DETACH), f"unmount {target}")


def pivot_root(new: str, old: str) -> None:
    """Make a mount the root; the root so far appears in it at `old`."""
    number = _PIVOT_ROOT[os.uname().machine]
    _checked(_LIBRARY.syscall(number, new.encode(), old.encode()), f"pivot_root to {new}")


def die_with_parent() -> None:
    """Be killed when the thread that made this process ends. Forking and a change of rights undo it."""
    _checked(_LIBRARY.prctl(_SET_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0), "prctl")


def gain_no_privileges() -> None:
    """Make set-user-id programs ordinary ones, from here on and for all descendants."""
    _checked(_LIBRARY.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0), "prctl")
