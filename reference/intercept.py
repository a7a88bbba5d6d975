"""`python -m reference.intercept`: redirects the pod's traffic through its sidecar, and makes its gate.

TCP of both directions, and UDP that comes in. Runs once, as an init container with NET_ADMIN and NET_RAW, in
the network namespace of the pod. IPv4 only: where pods have IPv6 addresses as well, those stay outside of the
mesh.
"""

from __future__ import annotations

import os
import sys

from reference import gate
from reference.names import (
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
from reference.own_traffic import MARK, OwnTraffic, own_traffic

# The kernel may offer one back end, the other, or both; which one kube-proxy uses does not matter in here.
_OWN: dict[OwnTraffic, str] = {
    "uid": f"-m owner --uid-owner {SIDECAR_UID}",
    "mark": f"-m mark --mark {MARK}",
}
_TOOLS = ("iptables-nft-restore", "iptables-legacy-restore", "iptables-restore")


def rules(own: OwnTraffic = "uid", udp: list[int] | tuple[int, ...] = ()) -> str:
    """The rules in the format of iptables-restore; `own` is how the sidecar's own traffic is known.

    `udp` are the UDP ports that the pod declares, in its order.

    Inbound: everything goes to the sidecar but the readiness port of its agent. Outbound: likewise, but for
    the sidecar itself and for what stays on the loopback interface. When the sidecar calls its own pod by its
    address (a service that chose the caller as endpoint) it is sent to its own inbound side; what that side
    passes through to the application comes from its own source address and is let go.

    Of a redirected datagram nobody can tell the port that it was meant for, so each declared port leads to a
    port of its own. Answers to what the pod asked are not new to the kernel, and pass these rules by.
    """
    lines = [
        "*nat",
        ":SMI_IN - [0:0]",
        ":SMI_OUT - [0:0]",
        ":SMI_UDP - [0:0]",
        "-A PREROUTING -p tcp -j SMI_IN",
        f"-A SMI_IN -p tcp --dport {READINESS_PORT} -j RETURN",
        f"-A SMI_IN -p tcp -j REDIRECT --to-ports {INBOUND_PORT}",
        "-A PREROUTING -p udp -j SMI_UDP",
        *(
            f"-A SMI_UDP -p udp --dport {port} -j REDIRECT --to-ports {UDP_PORT + position}"
            for position, port in enumerate(udp)
        ),
        f"-A SMI_UDP -p udp -j REDIRECT --to-ports {UDP_NOWHERE_PORT}",
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
    """Makes the gate, and writes the rules with the first tool that works."""
    gate.make(DIRECTORY)
    declared = [int(port) for port in os.environ.get(UDP_PORTS_VARIABLE, "").split()]
    wanted = rules(own_traffic(os.environ), declared)
    problems = []
    for tool in _TOOLS:
        problem = restore(tool, wanted)
        if not problem:
            print(f"intercept: rules written by {tool}")
            return 0
        problems.append(f"{tool}: {problem}")
    print("\n".join(problems), file=sys.stderr)
    return 1


def restore(tool: str, text: str) -> str:
    """Has a tool write rules in place of its whole table; what went wrong, if anything.

    So a restarted init container finds its own rules. By hand, as `subprocess` takes longer to import than
    the tool takes to run.
    """
    stdin, feed = os.pipe()
    said, stderr = os.pipe()
    try:
        # No rules are longer than what a pipe holds.
        os.write(feed, text.encode())
        streams = [(os.POSIX_SPAWN_DUP2, stdin, 0), (os.POSIX_SPAWN_DUP2, stderr, 2)]
        pid = os.posix_spawnp(tool, [tool], os.environ, file_actions=streams)
    except OSError as error:
        os.close(said)
        return error.strerror or repr(error)
    finally:
        for descriptor in (stdin, feed, stderr):
            os.close(descriptor)
    with open(said, errors="replace") as stream:
        words = stream.read().strip()
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return (words or f"exit status {code}") if code else ""


if __name__ == "__main__":
    sys.exit(main())
