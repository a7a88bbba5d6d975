"""`python -m reference.intercept`: redirects the pod's TCP traffic through its sidecar.

Runs once, as an init container with NET_ADMIN and NET_RAW, in the network namespace of the pod. IPv4 only:
where pods have IPv6 addresses as well, those stay outside of the mesh.
"""

from __future__ import annotations

import os
import subprocess
import sys

from reference.names import (
    INBOUND_PASSTHROUGH_SOURCE,
    INBOUND_PORT,
    OUTBOUND_PORT,
    READINESS_PORT,
    SIDECAR_UID,
)
from reference.own_traffic import MARK, OwnTraffic, own_traffic

# The kernel may offer one back end, the other, or both; which one kube-proxy uses does not matter in here.
_OWN: dict[OwnTraffic, str] = {
    "uid": f"-m owner --uid-owner {SIDECAR_UID}",
    "mark": f"-m mark --mark {MARK}",
}
_TOOLS = ("iptables-nft-restore", "iptables-legacy-restore", "iptables-restore")


def rules(own: OwnTraffic = "uid") -> str:
    """The rules in the format of iptables-restore; `own` is how the sidecar's own traffic is known.

    Inbound: everything goes to the sidecar but the readiness port of its agent. Outbound: likewise, but for
    the sidecar itself and for what stays on the loopback interface. When the sidecar calls its own pod by its
    address (a service that chose the caller as endpoint) it is sent to its own inbound side; what that side
    passes through to the application comes from its own source address and is let go.
    """
    lines = [
        "*nat",
        ":SMI_IN - [0:0]",
        ":SMI_OUT - [0:0]",
        "-A PREROUTING -p tcp -j SMI_IN",
        f"-A SMI_IN -p tcp --dport {READINESS_PORT} -j RETURN",
        f"-A SMI_IN -p tcp -j REDIRECT --to-ports {INBOUND_PORT}",
        "-A OUTPUT -p tcp -j SMI_OUT",
        f"-A SMI_OUT -s {INBOUND_PASSTHROUGH_SOURCE}/32 -o lo -j RETURN",
        f"-A SMI_OUT ! -d 127.0.0.0/8 -o lo -p tcp {_OWN[own]} -j REDIRECT --to-ports {INBOUND_PORT}",
        f"-A SMI_OUT {_OWN[own]} -j RETURN",
        "-A SMI_OUT -o lo -j RETURN",
        "-A SMI_OUT -d 127.0.0.0/8 -j RETURN",
        f"-A SMI_OUT -p tcp -j REDIRECT --to-ports {OUTBOUND_PORT}",
        "COMMIT",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Writes the rules with the first tool that works."""
    wanted = rules(own_traffic(os.environ))
    problems = []
    for tool in _TOOLS:
        try:
            # Replaces the whole table: a restarted init container finds its own rules.
            done = subprocess.run([tool], input=wanted, text=True, capture_output=True, check=False)  # noqa: S603
        except OSError as error:
            problems.append(f"{tool}: {error}")
            continue
        if done.returncode == 0:
            print(f"intercept: rules written by {tool}")
            return 0
        problems.append(f"{tool}: {done.stderr.strip()}")
    print("\n".join(problems), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
