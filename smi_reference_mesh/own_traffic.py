"""How interception tells the sidecar's own traffic from the application's, which it redirects.

By the user that the sidecar runs as, where pods have users: it needs no rights. By a mark on the sidecar's
sockets where all run as one user, as in a user namespace that maps only one: to set it takes NET_ADMIN or
NET_RAW. Next to nothing is imported: see smi_reference_mesh.names.
"""

from __future__ import annotations

from smi_reference_mesh.names import SIDECAR_UID

# As type checkers know it, but without its module.
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
    """What an environment tells; by user unless it tells something. Raises ValueError for what is neither."""
    told = environment.get(VARIABLE, "uid")
    for known in _KNOWN:
        if told == known:
            return known
    raise ValueError(f"{VARIABLE} is {told!r}, not one of {', '.join(_KNOWN)}")


def mark_of(own: OwnTraffic) -> int | None:
    """The mark that the sidecar's sockets are to carry, if any."""
    return MARK if own == "mark" else None
