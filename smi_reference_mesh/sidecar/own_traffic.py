"""How interception distinguishes the sidecar's own traffic from the application's, which it redirects.

`uid`: by the sidecar's user, which needs no capability. `mark`: by a mark on the sidecar's sockets, where all
containers run as one user, as in a user namespace that maps only one; setting it needs NET_ADMIN or NET_RAW.
Imports almost nothing: see smi_reference_mesh.names.
"""

from __future__ import annotations

from smi_reference_mesh.names import SIDECAR_UID

# typing.TYPE_CHECKING without importing typing.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    OwnTraffic = Literal["uid", "mark"]
else:
    OwnTraffic = str

_KNOWN: tuple[OwnTraffic, ...] = ("uid", "mark")
VARIABLE = "SMI_REFERENCE_OWN_TRAFFIC"
MARK = SIDECAR_UID


def own_traffic(environment: Mapping[str, str]) -> OwnTraffic:
    """The environment's setting, `uid` by default. Raises ValueError for an unknown value."""
    value = environment.get(VARIABLE, "uid")
    for known in _KNOWN:
        if value == known:
            return known
    raise ValueError(f"{VARIABLE} is {value!r}, not one of {', '.join(_KNOWN)}")


def mark_of(own: OwnTraffic) -> int | None:
    """The mark of the sidecar's sockets; None where its user identifies them."""
    return MARK if own == "mark" else None
