"""Rules for packets, written to the kernel's nf_tables over netlink, without a program or library.

Constants and layouts are those of linux/netfilter/nf_tables.h, nfnetlink.h and netlink.h, a stable kernel
ABI. A batch is one transaction: it takes effect as a whole or not at all. Imports almost nothing (`socket`
alone would take most of an interception's time): see `names`.
"""

from __future__ import annotations

from _socket import inet_aton, socket
from os import strerror
from struct import pack, unpack_from

from smi_reference_mesh.firewall.rules import Chain, Hook, Match, Rule, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_AF_NETLINK, _SOCK_RAW, _NETLINK_NETFILTER = 16, 3, 12
_SOL_SOCKET, _SO_SNDBUF, _SO_SNDBUFFORCE = 1, 7, 32
_REQUEST, _ACK, _CREATE, _APPEND = 0x1, 0x4, 0x400, 0x800
_NLMSG_ERROR, _BATCH_BEGIN, _BATCH_END = 2, 16, 17
_NFTABLES, _IPV4 = 10, 2
_NEWTABLE, _DELTABLE, _NEWCHAIN, _DELCHAIN, _NEWRULE, _DELRULE = 0, 2, 3, 5, 6, 8
_NESTED = 0x8000
_VERDICT_REGISTER, _REGISTER, _SECOND_REGISTER = 0, 1, 2
_NETWORK_HEADER, _TRANSPORT_HEADER = 1, 2
_EQUAL, _UNEQUAL = 0, 1
_META = {"mark": 3, "out by": 7, "user": 10, "protocol": 16}
_PROTOCOLS = {"tcp": 6, "udp": 17}
_CT_STATUS, _CT_TRANSLATED = 2, 1 << 5
_RANDOM = 1
_JUMP, _RETURN = -3, -5
_DNAT = 1
_ICMP_UNREACHABLE, _TCP_RESET, _PORT_UNREACHABLE = 0, 1, 3
# The kernel's number of each hook, and the priority of iptables' corresponding chain.
_HOOKS: dict[Hook, tuple[int, int]] = {
    "nat prerouting": (0, -100),
    "nat output": (3, -100),
    "nat postrouting": (4, 100),
    "filter forward": (2, 0),
    "filter output": (3, 0),
}
_MOST_BYTES = 1 << 24


class NftablesError(Exception):
    """The kernel lacks nf_tables or refused the rules; the text says which."""


class Table:
    """The table of a name in the current network namespace.

    The first `put` replaces any previous content.
    """

    def __init__(self, name: str) -> None:
        """Raises NftablesError if the kernel lacks nf_tables."""
        self._name = name
        self._written: tuple[Chain, ...] | None = None
        try:
            self._socket = socket(_AF_NETLINK, _SOCK_RAW, _NETLINK_NETFILTER)
        except OSError as error:
            raise NftablesError(f"the kernel offers no netfilter: {error.strerror}") from error
        try:
            self._socket.setsockopt(_SOL_SOCKET, _SO_SNDBUFFORCE, _MOST_BYTES)
        except PermissionError:
            # In a user namespace: the unprivileged maximum, which suffices for a thousand services.
            self._socket.setsockopt(_SOL_SOCKET, _SO_SNDBUF, _MOST_BYTES)
        self._socket.setblocking(False)

    def put(self, chains: Sequence[Chain]) -> None:
        """Replaces all chains. Raises NftablesError; then the former chains remain."""
        wanted = tuple(chains)
        if wanted == self._written:
            return
        messages = list(changes(self._name, self._written, wanted))
        # The kernel reports each error; only the last message requests an ack, since acks for all would not
        # fit.
        kind, flags, attributes = messages[-1]
        messages[-1] = (kind, flags | _ACK, attributes)
        self._transact(messages)
        self._written = wanted

    def close(self) -> None:
        """Closes the socket; the rules stay."""
        self._socket.close()

    def _transact(self, messages: Sequence[tuple[int, int, bytes]]) -> None:
        batch = [_message(_BATCH_BEGIN, _REQUEST, 0, 0, _NFTABLES, b"")]
        for number, (kind, flags, attributes) in enumerate(messages, 1):
            batch.append(_message(_NFTABLES << 8 | kind, _REQUEST | flags, number, _IPV4, 0, attributes))
        batch.append(_message(_BATCH_END, _REQUEST, len(messages) + 1, 0, _NFTABLES, b""))
        try:
            self._socket.send(b"".join(batch))
            answers = list(self._answers())
        except OSError as error:
            raise NftablesError(f"the kernel does not take rules: {error.strerror}") from error
        for number, code in answers:
            if code:
                raise NftablesError(f"the kernel refuses {_told(messages, number)}: {strerror(code)}")
        if (len(messages), 0) not in answers:
            raise NftablesError("the kernel did not answer")

    def _answers(self) -> Iterator[tuple[int, int]]:
        """The numbers of messages, each with its error or 0. The kernel has responded when `send` returns."""
        while True:
            try:
                data = self._socket.recv(1 << 16)
            except BlockingIOError:
                return
            at = 0
            while at + 20 <= len(data):
                length, kind, _, number, _, code = unpack_from("=IHHIIi", data, at)
                if kind == _NLMSG_ERROR:
                    yield number, -code
                at += max(_aligned(length), 16)


def changes(
    table: str, before: Sequence[Chain] | None, after: Sequence[Chain]
) -> Iterator[tuple[int, int, bytes]]:
    """The messages (type, flags, attributes) that turn one table into another. Pure.

    Leaves unchanged chains alone. Without `before` the table is created anew, whatever it contains.
    """
    named = _text(1, table)
    if before is None:
        # Only an existing table can be deleted, so it is created first.
        for kind in (_NEWTABLE, _DELTABLE, _NEWTABLE):
            yield kind, _CREATE if kind == _NEWTABLE else 0, named
    had = {chain[0]: chain for chain in before or ()}
    wanted = {chain[0]: chain for chain in after}
    for chain in after:
        if chain[0] not in had:
            yield _NEWCHAIN, _CREATE, named + _text(3, chain[0]) + _hook(chain[1])
    changed = [chain for chain in after if had.get(chain[0]) != chain]
    gone = [name for name in had if name not in wanted]
    for name in (*gone, *(chain[0] for chain in changed if chain[0] in had)):
        yield _DELRULE, 0, named + _text(2, name)
    for chain in changed:
        for rule in chain[2]:
            # Appended, so rules keep their order.
            yield _NEWRULE, _CREATE | _APPEND, named + _text(2, chain[0]) + _nested(4, _expressions(rule))
    for name in gone:
        yield _DELCHAIN, 0, named + _text(3, name)


def _hook(hook: Hook) -> bytes:
    if not hook:
        return b""
    number, priority = _HOOKS[hook]
    return _nested(4, _number(1, number) + _number(2, priority)) + _text(7, hook.split()[0])


def _expressions(rule: Rule) -> bytes:
    matches, verdict = rule
    return b"".join([*map(_match, matches), _verdict(verdict)])


def _match(match: Match) -> bytes:
    kind, value = match
    if kind == "protocol":
        return _meta(kind) + _compared(bytes([_PROTOCOLS[str(value)]]))
    if kind == "port":
        return _payload(_TRANSPORT_HEADER, 2, 2) + _compared(pack(">H", value))
    if kind in ("source", "destination", "not destination"):
        return _network(12 if kind == "source" else 16, str(value), _UNEQUAL if "not" in kind else _EQUAL)
    if kind == "out by":
        return _meta(kind) + _compared(str(value).encode() + b"\0")
    if kind in ("user", "mark"):
        # The kernel keeps these two in host byte order.
        return _meta(kind) + _compared(pack("=I", value))
    if kind == "translated":
        status = _expression("ct", _number(1, _REGISTER) + _number(2, _CT_STATUS))
        return status + _masked(pack("=I", _CT_TRANSLATED)) + _compared(bytes(4), _UNEQUAL)
    if kind == "one in":
        drawn = _number(1, _REGISTER) + _number(2, int(value)) + _number(3, _RANDOM)
        return _expression("numgen", drawn) + _compared(bytes(4))
    raise ValueError(f"no such match: {kind}")


def _verdict(verdict: Verdict) -> bytes:
    kind, place, port = verdict
    if kind == "return":
        return _immediate(_VERDICT_REGISTER, _nested(2, _number(1, _RETURN)))
    if kind == "jump":
        return _immediate(_VERDICT_REGISTER, _nested(2, _number(1, _JUMP) + _text(2, place)))
    if kind == "redirect":
        return _loaded(_REGISTER, pack(">H", port)) + _expression("redir", _number(1, _REGISTER))
    if kind == "lead to":
        to = _number(1, _DNAT) + _number(2, _IPV4) + _number(3, _REGISTER) + _number(5, _SECOND_REGISTER)
        return (
            _loaded(_REGISTER, inet_aton(place))
            + _loaded(_SECOND_REGISTER, pack(">H", port))
            + _expression("nat", to)
        )
    if kind == "masquerade":
        return _expression("masq", b"")
    if kind == "reset":
        return _expression("reject", _number(1, _TCP_RESET) + _attribute(2, b"\0"))
    if kind == "unreachable":
        code = _attribute(2, bytes([_PORT_UNREACHABLE]))
        return _expression("reject", _number(1, _ICMP_UNREACHABLE) + code)
    raise ValueError(f"no such verdict: {kind}")


def _network(offset: int, network: str, comparison: int) -> bytes:
    address, _, length = network.partition("/")
    mask = pack(">I", (1 << 32) - (1 << 32 - int(length or 32)))
    narrowed = _masked(mask) if mask != b"\xff" * 4 else b""
    return _payload(_NETWORK_HEADER, offset, 4) + narrowed + _compared(inet_aton(address), comparison)


def _meta(kind: str) -> bytes:
    return _expression("meta", _number(1, _REGISTER) + _number(2, _META[kind]))


def _payload(header: int, offset: int, length: int) -> bytes:
    numbers = (_REGISTER, header, offset, length)
    return _expression("payload", b"".join(_number(kind, number) for kind, number in enumerate(numbers, 1)))


def _masked(mask: bytes) -> bytes:
    registers = _number(1, _REGISTER) + _number(2, _REGISTER) + _number(3, len(mask))
    return _expression("bitwise", registers + _value(4, mask) + _value(5, bytes(len(mask))))


def _compared(value: bytes, comparison: int = _EQUAL) -> bytes:
    return _expression("cmp", _number(1, _REGISTER) + _number(2, comparison) + _value(3, value))


def _loaded(register: int, value: bytes) -> bytes:
    return _immediate(register, _attribute(1, value))


def _immediate(register: int, data: bytes) -> bytes:
    return _expression("immediate", _number(1, register) + _nested(2, data))


def _expression(name: str, data: bytes) -> bytes:
    return _nested(1, _text(1, name) + _nested(2, data))


def _value(kind: int, value: bytes) -> bytes:
    return _nested(kind, _attribute(1, value))


def _text(kind: int, text: str) -> bytes:
    return _attribute(kind, text.encode() + b"\0")


def _number(kind: int, number: int) -> bytes:
    return _attribute(kind, pack(">i", number))


def _nested(kind: int, inner: bytes) -> bytes:
    return _attribute(kind | _NESTED, inner)


def _attribute(kind: int, data: bytes) -> bytes:
    return pack("=HH", len(data) + 4, kind) + data + bytes(_aligned(len(data)) - len(data))


def _message(kind: int, flags: int, number: int, family: int, resource: int, attributes: bytes) -> bytes:
    head = pack("=IHHII", 20 + len(attributes), kind, flags, number, 0)
    return head + pack("=BB", family, 0) + pack(">H", resource) + attributes


def _aligned(length: int) -> int:
    return length + 3 & ~3


def _told(messages: Sequence[tuple[int, int, bytes]], number: int) -> str:
    if not 0 < number <= len(messages):
        return "the transaction"
    names = {_NEWTABLE: "the table", _NEWCHAIN: "a chain", _NEWRULE: "a rule"}
    return names.get(messages[number - 1][0], "to remove what was there")
