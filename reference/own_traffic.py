"""How interception tells the sidecar's own traffic from the application's, which it redirects.

By the user that the sidecar runs as, where pods have users: it needs no rights. By a mark on the sidecar's
sockets where all run as one user, as in a user namespace that maps only one: to set it takes NET_ADMIN or
NET_RAW. Standard library only, for the sidecar starts with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, get_args

from reference.names import SIDECAR_UID

OwnTraffic = Literal["uid", "mark"]
VARIABLE: Final = "SMI_REFERENCE_OWN_TRAFFIC"
MARK: Final = SIDECAR_UID


def own_traffic(environment: Mapping[str, str]) -> OwnTraffic:
    """What an environment tells; by user unless it tells something. Raises ValueError for what is neither."""
    told = environment.get(VARIABLE, "uid")
    for known in get_args(OwnTraffic):
        if told == known:
            return known  # type: ignore[no-any-return]
    raise ValueError(f"{VARIABLE} is {told!r}, not one of {', '.join(get_args(OwnTraffic))}")


def mark_of(own: OwnTraffic) -> int | None:
    """The mark that the sidecar's sockets are to carry, if any."""
    return MARK if own == "mark" else None
