"""Rules for packets: the same in the kernel's own format and in iptables', and their effect."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from networks import in_a_network, printed

from smi_reference_mesh import firewall
from smi_reference_mesh.firewall import Firewall, FirewallError, iptables, nftables
from smi_reference_mesh.firewall.rules import Chain, jump, protocol, redirect, rule
from smi_reference_mesh.sidecar.interception import rules

SCRIPT = Path(__file__).with_name("firewall_network.py")
HERE, FIRST, SECOND, THIRD = "10.1.0.1", "10.1.0.1", "10.1.0.2", "10.2.0.1"
with_iptables = pytest.mark.skipif(
    shutil.which("iptables-restore", path="/usr/sbin:/sbin") is None, reason="iptables is not installed"
)


@in_a_network
@pytest.mark.parametrize("means", ["nf_tables", pytest.param("iptables", marks=with_iptables)])
def test_each_match_and_each_verdict_takes_effect(means: str) -> None:
    found = printed(SCRIPT, means)
    shares = found.pop("one in four")
    # Five standard deviations of 400 draws at a quarter.
    assert set(shares) == {"8001", "8002"}
    assert abs(shares["8002"] - 100) < 44
    assert found == {
        "nothing": [[8001, HERE]],
        "protocol": [[8002, HERE], [8001, HERE]],
        "port": [[8002, HERE], [8003, HERE]],
        "destination": [[8002, FIRST], [8002, SECOND], [8001, THIRD]],
        "not destination": [[8002, FIRST], [8001, SECOND], [8002, THIRD]],
        "source": [[8001, FIRST], [8001, SECOND], [8002, THIRD]],
        "out by": [[8002, HERE], [8003, HERE]],
        "user": [[8001, HERE], [8002, HERE]],
        "mark": [[8001, HERE], [8002, HERE], [8001, HERE]],
        "lead to": [[8003, HERE]],
        # The rule's caller has the address that this host uses for the destination.
        "masquerade": [[8003, FIRST], [8003, SECOND]],
        "return": [[8003, HERE], [8001, HERE]],
        # A datagram refused on its way out fails at its sender.
        "refused": ["ECONNREFUSED", "EPERM", [8002, HERE]],
        "nothing again": [[8001, HERE]],
    }


@in_a_network
def test_refused_rules_change_nothing_and_a_second_table_of_the_name_replaces_the_first() -> None:
    assert printed(SCRIPT, "refusal") == {
        "said": "the kernel refuses a rule: No such file or directory",
        "kept": [8002, "127.0.0.1"],
        "replaced": [8003, "127.0.0.1"],
    }


def names(before: tuple[Chain, ...] | None, after: tuple[Chain, ...]) -> list[int]:
    return [kind for kind, _, _ in nftables.changes("trial", before, after)]


NEW_TABLE, DELETE_TABLE, NEW_CHAIN, DELETE_CHAIN, NEW_RULE, DELETE_RULES = 0, 2, 3, 5, 6, 8


def test_unchanged_chains_are_left_alone() -> None:
    tcp = protocol("tcp")
    base: Chain = ("OUT", "nat output", (rule(tcp, then=jump("A")),))
    a: Chain = ("A", "", (rule(tcp, then=redirect(1)),))
    other: Chain = ("A", "", (rule(tcp, then=redirect(2)), rule(tcp, then=redirect(3))))
    assert names(None, (base, a)) == [
        *(NEW_TABLE, DELETE_TABLE, NEW_TABLE, NEW_CHAIN, NEW_CHAIN, NEW_RULE, NEW_RULE)
    ]
    assert names((base, a), (base, other)) == [DELETE_RULES, NEW_RULE, NEW_RULE]
    assert names((base, a), (("OUT", "nat output", ()),)) == [DELETE_RULES, DELETE_RULES, DELETE_CHAIN]
    assert names((base, a), (base, a)) == []


class NoTable:
    """A kernel without nf_tables."""

    def __init__(self, name: str) -> None:
        raise nftables.NftablesError("the kernel offers no netfilter: Protocol not supported")


def test_iptables_writes_the_rules_without_nf_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firewall, "Table", NoTable)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    written = tmp_path / "written"
    # The first tool fails, so the second is used.
    tool(tmp_path / "iptables-nft-restore", "cat >/dev/null; echo no such table >&2; exit 3")
    tool(tmp_path / "iptables-legacy-restore", f"cat >{written}")
    made = Firewall("trial")
    made.put(rules())
    assert made.means == "iptables"
    assert written.read_text() == iptables.text(rules())
    made.put(rules("mark"))
    assert written.read_text() == iptables.text(rules("mark"))


def test_the_error_names_both_missing_backends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firewall, "Table", NoTable)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FirewallError) as raised:
        Firewall("trial").put(rules())
    assert str(raised.value) == (
        "cannot write rules: the kernel offers no netfilter: Protocol not supported; "
        "iptables is not installed, which could do it where nf_tables cannot"
    )
    tool(tmp_path / "iptables-restore", "exit 4")
    with pytest.raises(FirewallError, match="iptables-restore: exit status 4"):
        Firewall("trial").put(rules())


def tool(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
