"""Linux system calls for namespaces and mounts that Python 3.11 lacks.

Imports only the standard library, for the processes that use it fork often.
"""

from __future__ import annotations

import ctypes
import os
import signal

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000

_MNT_DETACH = 2
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
# System call numbers, for the architectures that Envoy supports.
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
    """Move this process into new namespaces. Raises OSError, as all functions here."""
    _checked(_LIBRARY.unshare(flags), "unshare")


def enter(descriptor: int, kind: int) -> None:
    """Enter a namespace."""
    _checked(_LIBRARY.setns(descriptor, kind), "setns")


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    """Mount a file system, or with MS_BIND a part of a mounted one."""
    arguments = (source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode())
    _checked(_LIBRARY.mount(*arguments), f"mount {kind or source} at {target}")


def bind(source: str, target: str) -> None:
    """Bind-mount a file or directory, with all mounts in it."""
    mount(source, target, "", MS_BIND | MS_REC)


def make_read_only(target: str, *, recursive: bool) -> None:
    """Make a mount read-only, and all mounts in it if recursive."""
    attributes = _MountAttributes(attr_set=MS_RDONLY)
    path = target.encode()
    flags = _AT_RECURSIVE if recursive else 0
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    result = _LIBRARY.syscall(_MOUNT_SETATTR, _AT_FDCWD, path, flags, ctypes.byref(attributes), size)
    _checked(result, f"make {target} read-only")


def unmount(target: str) -> None:
    """Detach a mount, even if it is in use."""
    _checked(_LIBRARY.umount2(target.encode(), _MNT_DETACH), f"unmount {target}")


def pivot_root(new: str, old: str) -> None:
    """Make a mount the root; the old root appears in it at `old`."""
    number = _PIVOT_ROOT[os.uname().machine]
    _checked(_LIBRARY.syscall(number, new.encode(), old.encode()), f"pivot_root to {new}")


def die_with_parent() -> None:
    """Get SIGKILL when the thread that created this process ends. Forks and privilege changes reset this."""
    _checked(_LIBRARY.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0), "prctl")


def set_no_new_privileges() -> None:
    """Ignore set-user-id bits from now on, in all descendants too."""
    _checked(_LIBRARY.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
