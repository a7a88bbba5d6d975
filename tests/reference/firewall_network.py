"""Run in a network of its own: writes rules by either backend, and prints the destinations of connections."""

from __future__ import annotations

import errno
import json
import selectors
import socket
import sys
from collections import Counter
from collections.abc import Sequence

from pyroute2 import IPRoute

from smi_reference_mesh.firewall import FirewallError, iptables, nftables
from smi_reference_mesh.firewall.rules import (
    MASQUERADE,
    RESET,
    RETURN,
    TRANSLATED,
    UNREACHABLE,
    Chain,
    Match,
    Verdict,
    destination,
    jump,
    lead_to,
    marked,
    not_destination,
    of_user,
    one_in,
    out_by,
    port,
    protocol,
    redirect,
    rule,
    source,
)

ADDRESSES = ("10.1.0.1", "10.1.0.2", "10.2.0.1")
ANSWERING = (8001, 8002, 8003)
PATIENCE_S = 5.0
TCP, UDP = protocol("tcp"), protocol("udp")
Answer = tuple[int, str] | str
"""The reached port and the caller's address as observed there; or the failure."""


class Servers:
    """TCP and UDP servers, each on its ports; a response has the port and the caller's address."""

    def __init__(self) -> None:
        self._ready = selectors.DefaultSelector()
        for number in ANSWERING:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                server = socket.socket(socket.AF_INET, kind)
                server.bind(("0.0.0.0", number))
                if kind == socket.SOCK_STREAM:
                    server.listen(64)
                self._ready.register(server, selectors.EVENT_READ, number)

    def serve_one(self) -> tuple[int, str]:
        """Accepts one connection or datagram. Raises TimeoutError."""
        for key, _ in self._ready.select(PATIENCE_S):
            server = key.fileobj
            assert isinstance(server, socket.socket)
            if server.type == socket.SOCK_STREAM:
                connection, (address, _) = server.accept()
                connection.close()
            else:
                _, (address, _) = server.recvfrom(16)
            return key.data, address
        raise TimeoutError


def call(
    servers: Servers, address: str, number: int, *, udp: bool = False, mark: int = 0, by: str = ""
) -> Answer:
    """Calls an address once."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as caller:
        caller.settimeout(PATIENCE_S)
        if mark:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
        if by:
            caller.bind((by, 0))
        try:
            caller.connect((address, number))
            if udp:
                caller.send(b"x")
                # A refusal has arrived by now, since all of it happens in this kernel.
                if code := caller.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    return errno.errorcode[code]
        except OSError as error:
            return errno.errorcode.get(error.errno or 0, type(error).__name__)
        return servers.serve_one()


def output(*rules: tuple[Sequence[Match], Verdict]) -> Chain:
    """A chain for outgoing packets."""
    return ("OUT", "nat output", tuple(rule(*matches, then=then) for matches, then in rules))


class Rules:
    """A backend for rules."""

    def __init__(self, means: str) -> None:
        self._table = nftables.Table("trial") if means == "nf_tables" else None

    def put(self, *chains: Chain) -> None:
        if self._table is not None:
            self._table.put(chains)
        elif problem := iptables.restore(iptables.text(chains)):
            raise FirewallError(problem)


def main(means: str) -> dict[str, object]:
    """All kinds of matches and verdicts in turn."""
    with IPRoute() as routes:
        routes.link("set", index=1, state="up")
        for address in ADDRESSES:
            routes.addr("add", index=1, address=address, prefixlen=32)
        routes.route("add", dst="10.99.0.0/16", oif=1)
    rules, servers = Rules(means), Servers()
    found: dict[str, object] = {}

    def ask(name: str, *answers: Answer) -> None:
        found[name] = list(answers)

    there = ADDRESSES[0]
    to_second = redirect(8002)
    ask("nothing", call(servers, there, 8001))
    rules.put(output(([TCP], to_second)))
    ask("protocol", call(servers, there, 8001), call(servers, there, 8001, udp=True))
    rules.put(output(([UDP, port(8001)], to_second)))
    ask("port", *(call(servers, there, number, udp=True) for number in (8001, 8003)))
    rules.put(output(([destination("10.1.0.0/16"), TCP], to_second)))
    ask("destination", *(call(servers, address, 8001) for address in ADDRESSES))
    rules.put(output(([not_destination("10.1.0.2"), TCP], to_second)))
    ask("not destination", *(call(servers, address, 8001) for address in ADDRESSES))
    rules.put(output(([source(ADDRESSES[2]), TCP], to_second)))
    ask("source", *(call(servers, there, 8001, by=address) for address in ADDRESSES))
    rules.put(output(([out_by("lo"), TCP, port(8001)], to_second), ([out_by("other"), TCP], to_second)))
    ask("out by", *(call(servers, there, number) for number in (8001, 8003)))
    rules.put(output(([TCP, of_user(1), port(8001)], to_second), ([TCP, of_user(0), port(8003)], to_second)))
    ask("user", *(call(servers, there, number) for number in (8001, 8003)))
    rules.put(output(([TCP, marked(1337)], to_second)))
    ask("mark", *(call(servers, there, 8001, mark=mark) for mark in (0, 1337, 1338)))
    rules.put(output(([TCP], lead_to(ADDRESSES[1], 8003))))
    ask("lead to", call(servers, "10.99.0.1", 1))
    rules.put(
        output(([TCP], lead_to(ADDRESSES[1], 8003))),
        ("POST", "nat postrouting", (rule(TRANSLATED, then=jump("HAIRPIN")),)),
        ("HAIRPIN", "", (rule(source(ADDRESSES[2]), then=MASQUERADE),)),
    )
    ask("masquerade", *(call(servers, ADDRESSES[0], 8001, by=address) for address in ADDRESSES[::2]))
    rules.put(
        output(([TCP], jump("ASIDE")), ([TCP, port(8002)], redirect(8003))),
        ("ASIDE", "", (rule(TCP, port(8002), then=RETURN), rule(TCP, then=redirect(8001)))),
    )
    ask("return", *(call(servers, there, number) for number in (8002, 8003)))
    rules.put(output(([TCP, one_in(4)], to_second)))
    found["one in four"] = Counter(str(call(servers, there, 8001)[0]) for _ in range(400))
    rules.put(output())
    ask("nothing again", call(servers, there, 8001))
    # Last, since iptables replaces only the tables that have rules.
    rules.put(
        (
            "REFUSED",
            "filter output",
            (rule(TCP, port(8001), then=RESET), rule(UDP, port(8001), then=UNREACHABLE)),
        )
    )
    ask(
        "refused",
        *(call(servers, there, 8001, udp=udp) for udp in (False, True)),
        call(servers, there, 8002),
    )
    return found


def refusal() -> dict[str, object]:
    """The kernel's error about a missing chain, and the rules after it, which are unchanged."""
    with IPRoute() as routes:
        routes.link("set", index=1, state="up")
    table, servers = nftables.Table("trial"), Servers()
    table.put([output(([TCP], redirect(8002)))])
    said = ""
    try:
        table.put([output(([TCP], redirect(8003)), ([TCP], jump("NOWHERE")))])
    except nftables.NftablesError as error:
        said = str(error)
    kept = call(servers, "127.0.0.1", 8001)
    # A successor, such as a restarted init container, replaces it.
    nftables.Table("trial").put([output(([TCP], redirect(8003)))])
    return {"said": said, "kept": kept, "replaced": call(servers, "127.0.0.1", 8001)}


if __name__ == "__main__":
    print(json.dumps(refusal() if sys.argv[1] == "refusal" else main(sys.argv[1])))
