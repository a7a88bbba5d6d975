"""`python -m smi_reference_mesh.sidecar.interception`: redirects a pod's traffic through its sidecar.

Redirects TCP of both directions and inbound UDP, and makes the startup gate. Runs once, as an init container
with NET_ADMIN and NET_RAW, in the network namespace of the pod. IPv4 only: IPv6 addresses of pods stay
outside the mesh.
"""

from __future__ import annotations

import os
import sys

from smi_reference_mesh.firewall import Firewall, FirewallError
from smi_reference_mesh.firewall.rules import (
    RETURN,
    Chain,
    destination,
    jump,
    marked,
    not_destination,
    of_user,
    out_by,
    port,
    protocol,
    redirect,
    rule,
    source,
)
from smi_reference_mesh.names import (
    DIRECTORY,
    INBOUND_PASSTHROUGH_SOURCE,
    INBOUND_PORT,
    OUTBOUND_PORT,
    READINESS_PORT,
    SIDECAR_UID,
    UDP_NOWHERE_PORT,
    UDP_PORT,
    UDP_PORTS_VARIABLE,
)
from smi_reference_mesh.sidecar import startup_gate
from smi_reference_mesh.sidecar.own_traffic import MARK, OwnTraffic, own_traffic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_NAME = "smi-reference"
_LOOPBACK = "lo"
_LOOPBACK_RANGE = "127.0.0.0/8"


def rules(own: OwnTraffic = "uid", udp: Sequence[int] = ()) -> tuple[Chain, ...]:
    """The rules of a pod; `own` identifies the sidecar's own traffic.

    `udp` are the UDP ports that the pod declares, in its order.

    Inbound: everything goes to the sidecar except the readiness port of its agent. Outbound: everything
    except the sidecar's own traffic and the loopback interface. A sidecar that calls its own pod by its
    address (a Service that chose the caller as endpoint) reaches its own inbound listener; traffic that this
    listener passes through to the application has a source address of its own and is not redirected.

    A redirected datagram loses its original port, so each declared port is redirected to a port of its own.
    Replies to the pod's own datagrams belong to known connections, to which these rules do not apply.
    """
    tcp, datagram, by_loopback = protocol("tcp"), protocol("udp"), out_by(_LOOPBACK)
    sidecar = of_user(SIDECAR_UID) if own == "uid" else marked(MARK)
    return (
        (
            "PREROUTING",
            "nat prerouting",
            (rule(tcp, then=jump("SMI_IN")), rule(datagram, then=jump("SMI_UDP"))),
        ),
        ("OUTPUT", "nat output", (rule(tcp, then=jump("SMI_OUT")),)),
        (
            "SMI_IN",
            "",
            (
                rule(tcp, port(READINESS_PORT), then=RETURN),
                rule(tcp, then=redirect(INBOUND_PORT)),
            ),
        ),
        (
            "SMI_OUT",
            "",
            (
                rule(source(INBOUND_PASSTHROUGH_SOURCE), by_loopback, then=RETURN),
                rule(
                    not_destination(_LOOPBACK_RANGE), by_loopback, tcp, sidecar, then=redirect(INBOUND_PORT)
                ),
                rule(sidecar, then=RETURN),
                rule(by_loopback, then=RETURN),
                rule(destination(_LOOPBACK_RANGE), then=RETURN),
                rule(tcp, then=redirect(OUTBOUND_PORT)),
            ),
        ),
        (
            "SMI_UDP",
            "",
            (
                *(
                    rule(datagram, port(number), then=redirect(UDP_PORT + position))
                    for position, number in enumerate(udp)
                ),
                rule(datagram, then=redirect(UDP_NOWHERE_PORT)),
            ),
        ),
    )


def main() -> int:
    """Makes the startup gate and writes the rules, replacing those of an earlier start."""
    startup_gate.make(DIRECTORY)
    declared = [int(number) for number in os.environ.get(UDP_PORTS_VARIABLE, "").split()]
    firewall = Firewall(_NAME)
    try:
        firewall.put(rules(own_traffic(os.environ), declared))
    except FirewallError as error:
        print(f"intercept: {error}", file=sys.stderr)
        return 1
    print(f"intercept: rules written by {firewall.means}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
